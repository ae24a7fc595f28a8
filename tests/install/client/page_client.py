"""page_client.py URL SCREENSHOT.png: drives the service's page in headless Chromium over its
debugging pipe, as a person would: a slider by arrow keys, buttons by clicks. Standard library only.
Exit status 77: no Chromium here."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

LIMIT_S = 90


class Browser:
    def __init__(self, program, profile):
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()

        def wire():
            # Chromium reads commands from 3 and answers on 4.
            first, second = os.dup(to_read), os.dup(to_write)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--remote-debugging-pipe", "--window-size=1000,900",
                "--user-data-dir=" + profile, "about:blank",
            ],
            preexec_fn=wire, pass_fds=(3, 4), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.count, self.session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + LIMIT_S
        while True:
            while b"\0" not in self.buffer:
                if not select.select([self.read_end], [], [], max(0, end - time.monotonic()))[0]:
                    raise TimeoutError(method)
                got = os.read(self.read_end, 1 << 20)
                if not got:
                    raise EOFError(method)
                self.buffer += got
            text, _, self.buffer = self.buffer.partition(b"\0")
            reply = json.loads(text)
            if reply.get("id") == self.count:
                if "error" in reply:
                    raise RuntimeError(reply["error"])
                return reply["result"]

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def wait(self, expression):
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            found = self.value(expression)
            if found:
                return found
            time.sleep(0.05)
        raise TimeoutError(expression)

    def press(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code)

    def close(self):
        self.process.terminate()
        self.process.wait()


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
            shot = browser.call("Page.captureScreenshot", format="png")["data"]
            with open(picture, "wb") as file:
                file.write(base64.b64decode(shot))
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
