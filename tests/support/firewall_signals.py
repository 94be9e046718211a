"""Send signals to the firewall of a namespace; print what was heard and noted, as JSON.

Run as a process with a group of its own: `python firewall_signals.py PORT`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from metahub_addon.firewall import Firewall

firewall = Firewall(int(sys.argv[1]))
heard = {
    "beat": firewall.beat(443),
    "another": firewall.beat(5000),
    "IPv4": firewall.let_past("192.0.2.9"),
    "IPv6": firewall.let_past("2001:db8::9"),
    "IPv4 briefly": firewall.let_past("192.0.2.10", briefly=True),
    "IPv6 briefly": firewall.let_past("2001:db8::10", briefly=True),
    "no route": firewall.let_past("203.0.113.9"),
}
firewall.close()
print(json.dumps(heard))
