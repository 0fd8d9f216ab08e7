"""Runs every test and writes reports/unittest.xml in JUnit's form, with nothing but the standard library."""

import sys
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree


class JUnitResult(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.suite = ElementTree.Element("testsuite", name="unittest")

    def startTest(self, test):
        super().startTest(test)
        self.began = time.perf_counter()
        module, group, name = test.id().rsplit(".", 2)
        self.case = ElementTree.SubElement(self.suite, "testcase", classname=f"{module}.{group}", name=name)

    def stopTest(self, test):
        self.case.set("time", f"{time.perf_counter() - self.began:.3f}")
        super().stopTest(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell("failure", str(err[1]), self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.tell("error", str(err[1]), self.errors[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell("skipped", reason, "")

    def tell(self, what, message, text):
        ElementTree.SubElement(self.case, what, message=message).text = text

    def write(self, path):
        for key, value in (("tests", self.testsRun), ("failures", len(self.failures)), ("errors", len(self.errors))):
            self.suite.set(key, str(value))
        path.parent.mkdir(exist_ok=True)
        ElementTree.ElementTree(self.suite).write(path, encoding="utf-8", xml_declaration=True)


def main():
    tests = unittest.defaultTestLoader.discover(str(Path(__file__).parent))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=JUnitResult).run(tests)
    result.write(Path("reports/unittest.xml"))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
