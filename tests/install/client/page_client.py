"""page_client.py URL SCREENSHOT.png: drives the service's page in headless Chromium over its
debugging pipe, as a person would: a slider by arrow keys, buttons by clicks. Standard library only.
Exit status 77: no Chromium here."""

import json
import shutil
import sys
import tempfile

from browser import Browser


def main():
    url, picture = sys.argv[1:]
    program = shutil.which("chromium")
    if program is None:
        return 77
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            browser.call("Page.navigate", url=url)
            top1 = "document.querySelector('#top1 b')?.textContent"
            size = "document.querySelector('#cost-size_bits b')?.textContent"
            first, first_size = browser.wait(top1), browser.wait(size)
            assert browser.value("document.querySelectorAll('input[type=range]').length") == 40
            # The last layer's weight bits, one step down with the keyboard.
            browser.value("document.querySelector('#gene-38 input').focus()")
            browser.press("ArrowLeft", 37)
            changed = browser.wait(f"{top1} !== {json.dumps(first)} && {top1}")
            assert browser.value("document.querySelector('#gene-38 output').textContent") == "4"
            assert browser.value(size) != first_size
            change = browser.value("document.querySelector('#cost-size_bits .change').textContent")
            assert change.startswith("−5,120"), change  # 1,280 weights, 4 bits less each.
            assert browser.value("document.querySelector('#top1 .change').textContent") != "no change"
            # What the page shows is what the service says.
            said = browser.call(
                "Runtime.evaluate", awaitPromise=True, returnByValue=True,
                expression="fetch('/v1/predict', {method: 'POST', headers: {'Content-Type': "
                "'application/json'}, body: JSON.stringify({indices})}).then(r => r.json())",
            )["result"]["value"]
            assert changed == f"{said['top1_percent']:,.2f}".rstrip("0").rstrip(".") + " %", changed
            browser.value("document.querySelector('#lowest').click()")
            browser.wait("document.querySelector('#cost-latency_us b').textContent === 'cannot run'")
            browser.wait("document.querySelector('#note').textContent.includes('never occurred')")
            browser.value("document.querySelector('#highest').click()")
            browser.wait(f"{top1} === {json.dumps(first)}")
            browser.value("document.querySelector('#gene-38 input').focus()")
            browser.press("ArrowLeft", 37)
            browser.wait(f"{top1} === {json.dumps(changed)}")
            browser.picture(picture)
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
