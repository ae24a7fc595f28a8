"""report_client.py FOLDER PAGE.html [PREFIX]: opens a report in headless Chromium with no network,
as a person would: clicks a point of the frontier, walks with the slider, sorts a table, narrows the
window; and holds what the page shows against the JSON files in FOLDER, from which it was made. With PREFIX,
pictures of sections in both themes are left in PREFIX_SECTION_THEME.png.
Standard library only. Exit status 77: no Chromium here."""

import json
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "install" / "client"))
from browser import Browser  # noqa: E402

OFFLINE = ["--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND"]


def complaints(browser):
    """Everything that went wrong in the page, and every request that left it."""
    found = []
    for event in browser.events:
        method, params = event["method"], event.get("params", {})
        if method == "Runtime.exceptionThrown":
            found.append(params["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            found.append(params)
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            found.append(params["entry"])
        elif method == "Network.requestWillBeSent":
            if not params["request"]["url"].startswith(("file:", "data:")):
                found.append(params["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            found.append("dialog: " + params["message"])
    return found


def click(browser, selector):
    """A real click in the middle of an element."""
    at = browser.value(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
        "document.documentElement.style.scrollBehavior = 'auto';"
        "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
        "return [r.x + r.width / 2, r.y + r.height / 2]; })()")
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left",
                     clickCount=1)


def shown_bits(browser):
    """The bits of the picked configuration, by layer, as the page has them."""
    return browser.value(
        "[...document.querySelectorAll('#selection-bits span')]"
        ".map(cell => [cell.dataset.layer, cell.dataset.bits])")


def check_frontier(browser, folder):
    frontiers = sorted(folder.glob("frontier_*.json"))
    if not frontiers or not browser.value("typeof d3 !== 'undefined'"):
        return
    embedded = browser.value(
        "JSON.parse(document.getElementById('data').textContent).runs.slice(-1)[0].files"
        f"[{json.dumps(frontiers[0].name)}]")
    whole = json.loads(frontiers[0].read_text())
    points = embedded["points"]
    assert len(points) <= 500, len(points)
    drawn = browser.value("document.querySelectorAll('#frontier circle.point').length")
    assert drawn == len(points), (drawn, len(points))
    for i in (0, len(points) // 2):
        assert points[i] in whole["points"]
        # Points lie on top of each other where there are many: the event goes to the one meant.
        browser.value(
            f"document.querySelector('#frontier circle.point[data-index=\"{i}\"]')"
            ".dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        expected = []
        for name, choice, choices in zip(whole["layers"], points[i]["choice"], whole["choices"]):
            expected.append([name, "/".join(str(bits) for bits in choices[choice])])
        assert sorted(shown_bits(browser)) == sorted(expected), (i, shown_bits(browser))
    if len(points) < 60:
        last = len(points) - 1
        click(browser, f'#frontier circle.point[data-index="{last}"]')
        name = browser.value("document.querySelector('#selection-name').textContent")
        assert name == f"frontier point {last + 1} of {len(points)}", name
    browser.value("document.querySelector('#frontier-slider').focus()")
    before = browser.value("document.querySelector('#selection-name').textContent")
    browser.press("ArrowLeft", 37)
    browser.wait("document.querySelector('#selection-name').textContent !== "
                 + json.dumps(before))
    assert browser.value("document.activeElement.id") == "frontier-slider"


def check_numbers(browser, folder):
    """What stands in the tables is what stands in the files."""
    config = json.loads((folder / "config_1.json").read_text())
    chosen = [[layer["name"], f"{layer['weight_bits']}/{layer['activation_bits']}"]
              for layer in config["layers"]]
    strip = browser.value("[...document.querySelectorAll('#chosen-bits span')]"
                          ".map(cell => [cell.dataset.layer, cell.dataset.bits])")
    assert strip == chosen, strip
    results = json.loads((folder / "results.json").read_text())["rows"]
    ours = next(row for row in results if row["line"] == "ours")
    # After training at these bits, what that gave stands at the head.
    tuned = folder / "tuned_results.json"
    head = next(row for row in json.loads(tuned.read_text())["rows"] if row["line"] == "ours"
                ) if tuned.exists() else ours
    top1 = browser.value("document.querySelector('#top1').textContent")
    assert top1 == f"{head['top1_percent']:.2f} %", top1
    rows = browser.value("[...document.querySelectorAll('#results-table tbody tr')]"
                         ".map(row => [...row.cells].map(cell => cell.textContent))")
    wanted = [row for row in results if row["budget"] in ("", ours["budget"])]
    assert len(rows) == len(wanted)
    header = browser.value("[...document.querySelectorAll('#results-table th')]"
                           ".map(cell => cell.textContent)")
    for row, expected in zip(rows, wanted):
        assert row[0] == expected["line"], row
        if expected["top1_percent"] is not None:
            assert row[header.index("top-1 %")] == f"{expected['top1_percent']:.2f}", row
    limiting = browser.value("document.querySelector('#limiting-layer')?.textContent")
    losses = browser.value("[...document.querySelectorAll('#why-table tbody tr')]"
                           ".map(row => row.cells[0].textContent)")
    assert limiting is None or losses[0] == limiting, (limiting, losses[0])


def check_layout(browser, pictures):
    for theme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": theme}])
        for width in (1280, 400):
            browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                         deviceScaleFactor=1, mobile=False)
            browser.wait(f"window.innerWidth === {width}")
            time.sleep(0.5)  # a changed width is drawn a moment later
            wide = browser.value("document.documentElement.scrollWidth")
            assert wide <= width, (theme, width, wide)
            if pictures and width == 1280:
                take_pictures(browser, pictures, theme)


def take_pictures(browser, prefix, theme):
    """Sections as they are; the frontier with the point that is picked, the others with none."""
    for name in ("frontier", "summary", "sensitivity", "waterfall", "network"):
        x, y, width, height = browser.value(
            "(() => { scrollTo(0, 0); const r = "
            f"document.querySelector('#{name}').getBoundingClientRect();"
            "return [r.x, r.y + scrollY, r.width, r.height]; })()")
        browser.picture(f"{prefix}_{name}_{theme}.png", captureBeyondViewport=True,
                        clip={"x": x - 8, "y": y - 8, "width": width + 16,
                              "height": height + 16, "scale": 1})
        if name == "frontier":
            browser.value("[...document.querySelectorAll('#selection button')]"
                          ".forEach(button => button.click())")


def main():
    folder, page = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
    program = shutil.which("chromium")
    if program is None:
        return 77
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile, OFFLINE)
        try:
            for domain in ("Page", "Runtime", "Log", "Network"):
                browser.call(domain + ".enable")
            browser.call("Page.navigate", url=page.as_uri())
            browser.wait("document.documentElement?.dataset.ready")
            sections = browser.value(
                "[...document.querySelectorAll('section')].map(s => [s.id, "
                "s.querySelector('.body').textContent.trim().length])")
            assert len(sections) >= 12, sections
            for name, length in sections:
                assert length > 20, f"section {name} neither shows anything nor says why"
            # What a section lacks is said; with the file there, it is shown.
            needs = {"deployment": "deployment.json", "training": "dnas_1.json",
                     "transfer": "transfer_curve.json", "network": "network.json",
                     "frontier": "frontier_*.json"}
            # A supernet's run measures the rows of its table only.
            if not list(folder.glob("dnas_1.json")):
                needs["measured"] = "candidates.csv"
            plots = browser.value("typeof d3 !== 'undefined'")
            for name, file in needs.items() if plots else ():
                absent = browser.value(
                    f"document.querySelector('#{name}').classList.contains('is-absent')")
                assert absent == (not list(folder.glob(file))), name
            check_numbers(browser, folder)
            check_frontier(browser, folder)
            check_layout(browser, sys.argv[3] if len(sys.argv) > 3 else None)
            wrong = complaints(browser)
            assert not wrong, wrong
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
