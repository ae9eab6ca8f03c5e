"""deploy/TOOLS.md: which login, Kafka user and keys each command takes, and the lines that run it where they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from watchword.blueprint.postgres import OWNER
from watchword.blueprint.secrets import OWNERS, OWNERS_KAFKA, held
from watchword.blueprint.workloads import OPERATORS, OPS_PORT, kafka_user, login_of, workloads
from watchword.blueprint.writing import table

TOOLS = (OWNERS, *OPERATORS)
"""Who people act as. Each has a service of compose.yaml and a Deployment of k8s/base of its own."""
NOBODY = ""


@dataclass(frozen=True, slots=True)
class Command:
    """Commands, as whom they run (whose folder of `watchword blueprint secrets` they are given), and what of that they
    use: postgres, kafka, keyring."""

    words: tuple[str, ...]
    process: str
    uses: tuple[str, ...] = ()


COMMANDS = (
    Command(("migrate",), OWNERS, ("postgres",)),
    Command(("topics",), OWNERS, ("kafka",)),
    Command(("apply", "gateways check"), OWNERS, ("postgres", "keyring")),
    Command(("doctor",), "operator", ("postgres", "kafka", "keyring")),
    Command(("top",), "operator"),
    Command(("dead ls", "dead show", "dead redrive", "dead discard"), "operator", ("postgres", "kafka")),
    Command(("fraud blocks", "fraud lift"), "operator", ("postgres", "kafka")),
    Command(("fraud explain",), "operator", ("kafka",)),
    Command(("fraud reload", "routes explain"), "operator", ("postgres",)),
    Command(("erase",), "operator", ("postgres", "keyring")),
    Command(("audit", "replay fold"), "audit", ("postgres", "kafka")),
    Command(("replay show", "replay tail", "replay grep"), "audit", ("kafka",)),
    Command(("receipts unmapped",), "receipts", ("postgres",)),
    Command(("receipts remap",), "receipts", ("postgres", "keyring")),
    Command(("callbacks redeliver",), "callbacks", ("postgres",)),
    Command(("gateways send-test", "gateways ls", "gateways new", "fraud score"), NOBODY),
    Command(("keys", "blueprint", "schemas", "config"), NOBODY),
)

_TEXT = """\
# Tools
Made by `make flow`. A command acts as one of those whose secrets `watchword blueprint secrets` drew: a folder each,
with a login of Postgres, a user of Kafka and a part of the keyring. Under another it is refused something, and says so.

| who | is for |
| --- | --- |
| owner | rolling out: tables, topics, configuration. It owns the database and seals the secrets of accounts |
| operator | mending: dead letters, blocks, rules, the doctor, a number forgotten. It can name numbers, and open none |
| audit | looking: reads every table and every topic but the inbox, opens nothing, writes nothing |
| a worker | two commands that do what only it may do |

## Who runs what
{commands}
## With Compose
In `deploy/`. `owner`, `operator` and `audit` are services that run when they are called (profile `tools`):
```sh
{compose}
```

## In Kubernetes
The base holds a Deployment each of `owner`, `operator` and `audit` with no copy: nobody's rights lie about. One is
begun when it is needed, commands run in it, and it goes again. A file is given on stdin, for nothing can be written
there.
```sh
{kubernetes}
```
What is kept with your name (`dead`, `erase`, `fraud lift`) needs `--by YOU` in a container, which does not know you.
`--ops` takes a name that has several addresses as all of them, so `NAME-members` is every copy of a worker. A test
message (`gateways send-test --file`) needs a way out of the cluster, which none of these has: send it from elsewhere.
"""


def tools_text() -> str:
    """The whole file."""
    return _TEXT.format(
        commands=_commands(), compose="\n".join(_compose_lines()), kubernetes="\n".join(_kubernetes_lines())
    )


def _commands() -> str:
    keys = held()
    return table(
        ("command", "as", "login of Postgres", "user of Kafka", "keys"),
        [_row(each, keys.get(each.process, frozenset())) for each in COMMANDS],
    )


def _row(command: Command, held_by_it: Iterable[str]) -> list[str]:
    name = command.process
    login = f"`{OWNER if name == OWNERS else login_of(name)}`" if "postgres" in command.uses else ""
    user = f"`{kafka_user(OWNERS_KAFKA if name == OWNERS else name)}`" if "kafka" in command.uses else ""
    keys = ", ".join(sorted(held_by_it)) if "keyring" in command.uses else ""
    return [", ".join(f"`{each}`" for each in command.words), name or "anybody", login, user, keys]


def _compose_lines() -> list[str]:
    return [
        "docker compose run --rm -T owner apply /dev/stdin < configuration.toml",
        "docker compose run --rm operator doctor",
        f"docker compose run --rm operator top {_ports({load.name: load.name for load in workloads()})}",
        "docker compose run --rm audit audit --since 1h",
        *(f"docker compose exec {process} watchword {words}" for process, words in _of_workers()),
    ]


def _kubernetes_lines() -> list[str]:
    members = {load.name: f"{load.name}-members" for load in workloads()}
    kinds = {load.name: "statefulset" if load.numbered else "deployment" for load in workloads()}
    runs = "kubectl -n watchword exec"
    return [
        *_begun("operator"),
        f"{runs} -it deployment/operator -- watchword doctor",
        f"{runs} -it deployment/operator -- watchword top {_ports(members)}",
        _scaled("operator", 0),
        *_begun("owner"),
        f"{runs} -i deployment/owner -- watchword apply /dev/stdin < configuration.toml",
        _scaled("owner", 0),
        *(f"{runs} {kinds[process]}/{process} -- watchword {words}" for process, words in _of_workers()),
    ]


def _begun(name: str) -> list[str]:
    return [_scaled(name, 1), f"kubectl -n watchword rollout status deployment/{name}"]


def _scaled(name: str, replicas: int) -> str:
    return f"kubectl -n watchword scale deployment/{name} --replicas {replicas}"


def _of_workers() -> list[tuple[str, str]]:
    return [(each.process, words) for each in COMMANDS if each.process not in (*TOOLS, NOBODY) for words in each.words]


def _ports(hosts: Mapping[str, str]) -> str:
    return " ".join(f"--ops http://{host}:{OPS_PORT}" for host in hosts.values())
