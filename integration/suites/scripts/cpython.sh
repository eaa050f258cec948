# cpython.sh MODULE…: CPython's own tests, as packaged by Debian.
cd "$SUITE_WORK"
$UNDER /usr/bin/python3 -m test --junit-xml verdicts.xml "$@"
/usr/bin/python3 - <<'PYTHON'
import xml.etree.ElementTree as tree
for test in tree.parse("verdicts.xml").iter("testcase"):
    bad = test.find("error") is not None or test.find("failure") is not None
    skip = test.find("skipped") is not None
    print("not ok" if bad else "skip" if skip else "ok", test.get("name"))
PYTHON
