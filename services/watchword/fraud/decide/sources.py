"""How those who ask look: networks, devices, accounts, operators of networks, and single numbers.

What they ask for is counted wherever it goes. Codes verified take evidence back, so that a campus behind one address
is left in peace; codes typed wrong, countries that do not belong together and ever more numbers add to it.
"""

from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide.finding import Finding
from watchword.fraud.decide.levels import conclude, extended, prove
from watchword.fraud.decide.node import Node, evidence, fade, remember
from watchword.fraud.decide.rules import PHONE_TENANTS_MAX, VELOCITY_OF, OneNumber, OnePhone, Rule, Rules, Source
from watchword.fraud.decide.seen import Nodes, Seen, Told
from watchword.kernel.feature import Kind

_SENT, _VERIFIED, _WRONG, _REFUSED = SignalKind.SENT, SignalKind.VERIFIED, SignalKind.WRONG, SignalKind.REFUSED
_NORMAL, _NUMBER, _PHONE, _ASN = RiskLevel.NORMAL, Kind.NUMBER, Kind.PHONE, Kind.ASN
_DENIED, _CONFIRMED = SignalKind.DENIED, SignalKind.CONFIRMED
_CEILING = 1.5
_PLACES_MAX = 12
_PLACES_S = 86_400.0
_WRONG_PER_VERIFIED = 2.0
_SCATTERED = 3
_EXPECTED_MAX = 0.95
_OWN_MIN, _OWN_PRIOR, _OWN_LEAST = 3.0, 10.0, 0.7


def take(kind: Kind, feature: str, seen: Seen, nodes: Nodes, rules: Rules) -> Told | None:
    """The source `feature` after one observation: its level if that changed; None for a repeat."""
    node = nodes.node(feature)
    if seen.digest and not remember(node, seen.digest):
        return None
    fade(node, seen.at_s)
    told: Told = []
    first_s = 0.0
    if seen.kind is _REFUSED:
        extended(feature, node, seen.at_s, rules, told)
        return told
    if kind is _NUMBER:
        _count_number(node, seen)
        findings, is_clean = _of_number(node, rules.number, rules)
        first_s = rules.number.first_s
    elif kind is _PHONE:
        _count_phone(node, seen, rules.phone)
        findings, is_clean = _of_phone(node, rules.phone, rules)
        first_s = rules.phone.first_s
    else:
        limits = rules.sources[kind]
        _count(node, seen, limits, rules)
        findings, is_clean = _of_source(kind, node, limits, rules)
    if findings or node.level is not _NORMAL:
        conclude(feature, node, findings, rules, told, is_clean=is_clean, first_s=first_s)
    if kind is _ASN and seen.kind is _VERIFIED:
        prove(feature, node, Rule.PROVEN, rules, told)
    return told


def _count(node: Node, seen: Seen, limits: Source, rules: Rules) -> None:
    kind = seen.kind
    if kind is _WRONG:
        node.wrong += 1
        return
    step, back = evidence(_expected(node, seen, limits, rules), rules.attack_share)
    if kind is _SENT:
        is_known = seen.place in node.places
        _place(node, seen)
        if is_known and limits.numbers_day:
            return
        node.fast += 1
        node.day += 1
        node.slow += 1
        ceiling = _CEILING * (limits.pressure + rules.slack_per_verified * node.verified_fast)
        pressure = node.pressure + step
        node.pressure = pressure if pressure < ceiling else ceiling
    elif kind is _VERIFIED:
        node.verified_fast += 1
        node.verified_day += 1
        node.pressure = max(node.pressure - back, 0.0)
        node.wrong = max(node.wrong - _WRONG_PER_VERIFIED, 0.0)
        node.verified_slow += 1
        if not limits.numbers_day:
            node.places.pop(seen.place, None)
    elif kind is _DENIED:
        node.pressure += step + back
        node.denied += 1
    elif kind is _CONFIRMED:
        node.pressure = max(node.pressure - back / 2, 0.0)


def _expected(node: Node, seen: Seen, limits: Source, rules: Rules) -> float:
    """The share of sends expected to be verified: that of the tenant. A network is measured by no more than the usual
    share, and once users were verified there by its own: a campus in a country whose routes are poor is no attack
    because the tenant fares better elsewhere. But never by so little that an attacker who types a few codes in could
    make it his own."""
    above = min(max(seen.expected or rules.conversion, rules.conversion_min), _EXPECTED_MAX)
    if limits.numbers_day:
        return above
    above = min(above, rules.conversion)
    if node.verified_slow < _OWN_MIN:
        return above
    own = (node.verified_slow + _OWN_PRIOR * above) / (node.slow + _OWN_PRIOR)
    return round(max(min(own, above), _OWN_LEAST * above), 2)


def _of_source(kind: Kind, node: Node, limits: Source, rules: Rules) -> tuple[list[Finding], bool]:
    threshold = limits.pressure + rules.slack_per_verified * node.verified_fast
    findings = []
    if node.wrong >= limits.wrong:
        findings.append(Finding(rules.points.source_blocked, Rule.GUESS_BUDGET, node.wrong, limits.wrong))
    if node.pressure * 2 >= threshold:
        findings.append(_rising(VELOCITY_OF[kind], node.pressure, threshold, rules))
    if limits.numbers_day and len(node.places) >= limits.numbers_day:
        code, blocked = Rule.DEVICE_MANY_NUMBERS, rules.points.source_blocked
        findings.append(Finding(blocked, code, float(len(node.places)), limits.numbers_day))
    if limits.countries and len(node.places) >= limits.countries and node.pressure * 3 >= threshold:
        many = float(len(node.places))
        points = rules.points.source_elevated_max + 10 * (many - limits.countries)
        findings.append(Finding(points, Rule.IP_MANY_COUNTRIES, many, float(limits.countries)))
    return findings, node.pressure * 2 < threshold


def _rising(code: Rule, value: float, threshold: float, rules: Rules) -> Finding:
    points = rules.points
    if value >= threshold:
        return Finding(points.source_blocked, code, value, threshold)
    part = 2 * value / threshold - 1
    scored = points.source_elevated + (points.source_elevated_max - points.source_elevated) * part
    return Finding(scored, code, value, threshold)


def _count_number(node: Node, seen: Seen) -> None:
    if seen.kind is _SENT:
        node.fast += 1
        node.day += 1
        _place(node, seen)
    elif seen.kind is _VERIFIED:
        node.fast = node.day = node.wrong = 0.0
        node.places.clear()
    elif seen.kind is _WRONG:
        node.wrong += 1
    elif seen.kind is _DENIED:
        node.denied += 1


def _of_number(node: Node, limits: OneNumber, rules: Rules) -> tuple[list[Finding], bool]:
    blocked = rules.points.source_blocked
    findings = []
    threshold = limits.scattered if len(node.places) >= _SCATTERED else limits.single
    if node.fast >= threshold:
        findings.append(Finding(blocked, Rule.NUMBER_VELOCITY, node.fast, threshold))
    elif node.day >= limits.day:
        findings.append(Finding(blocked, Rule.NUMBER_VELOCITY, node.day, limits.day))
    if node.wrong >= limits.wrong:
        findings.append(Finding(blocked, Rule.GUESS_BUDGET, node.wrong, limits.wrong))
    return findings, not findings


def _count_phone(node: Node, seen: Seen, limits: OnePhone) -> None:
    """Who asks for a number and did not see it verified: each tenant once, so that none can have a number refused to
    another, and each takes back no more than its own. Where nobody is left nothing is."""
    places, now_s = node.places, seen.at_s
    if seen.kind is _SENT:
        node.fast += 1
        node.day += 1
        if len(places) >= PHONE_TENANTS_MAX and seen.place not in places:
            del places[min(places, key=lambda each: (places[each], each))]
        places[seen.place] = now_s
    elif seen.kind is _VERIFIED:
        places.pop(seen.place, None)
        if not places:
            node.fast = node.day = 0.0
    for each in [each for each, at_s in places.items() if now_s - at_s > limits.window_s]:
        del places[each]


def _of_phone(node: Node, limits: OnePhone, rules: Rules) -> tuple[list[Finding], bool]:
    """No figure is told: how many tenants ask for a number is for no tenant to know."""
    if len(node.places) < limits.doubted:
        return [], True
    points = rules.points.source_blocked if len(node.places) >= limits.tenants else rules.points.source_elevated_max
    return [Finding(points, Rule.NUMBER_VELOCITY, 1.0, 1.0)], False


def _place(node: Node, seen: Seen) -> None:
    """Remember where the last sends went, or came from: a few places, each for a day."""
    place, places, now_s = seen.place, node.places, seen.at_s
    if not place:
        return
    if len(places) >= _PLACES_MAX and place not in places:
        places.pop(min(places, key=lambda each: (places[each], each)))
    places[place] = now_s
    if len(places) > 1:
        for each in [each for each, at_s in places.items() if now_s - at_s > _PLACES_S]:
            del places[each]
