"""Which route serves a destination."""

from watchword.kernel.tenancy import Route, most_specific_first


def route(name: str, country: str = "*", range_prefix: str = "", purpose: str = "*") -> Route:
    return Route(id=name, country=country, range_prefix=range_prefix, purpose=purpose, accounts=["a"])


def test_the_most_specific_route_comes_first() -> None:
    routes = [
        route("any"),
        route("login", purpose="login"),
        route("india", "IN"),
        route("india-login", "IN", purpose="login"),
        route("range", range_prefix="+9198"),
        route("longer", range_prefix="+91987"),
    ]
    assert [one.id for one in most_specific_first(reversed(routes))] == [
        "longer",
        "range",
        "india-login",
        "india",
        "login",
        "any",
    ]


def test_a_route_serves_only_what_it_names() -> None:
    assert route("r", "IN", "+9198", "login").serves("IN", "+91987654", "login")
    assert not route("r", "IN").serves("GB", "+4477", "login")
    assert not route("r", range_prefix="+9198").serves("IN", "+919", "login")
    assert not route("r", purpose="pay").serves("IN", "+91987654", "login")
