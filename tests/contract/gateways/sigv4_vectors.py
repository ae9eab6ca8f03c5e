"""Computes sigv4.toml anew with botocore, whose requirements do not go together with those of the other tests.

uv run --no-project --with botocore python tests/contract/gateways/sigv4_vectors.py > tests/contract/gateways/sigv4.toml
"""

import json
import sys
from datetime import datetime

from botocore import auth, awsrequest, credentials

AT = "20261026T061320Z"
REQUESTS = [
    ("https://sms-voice.eu-west-1.amazonaws.com/", "eu-west-1", "aws-sample-secret/key+1", '{"MessageBody":"1234"}'),
    (
        "https://sms-voice.ap-south-1.amazonaws.com/",
        "ap-south-1",
        "k",
        '{"MessageBody":"\u0915\u094b\u0921 \U0001f600"}',
    ),
    ("https://sms-voice.eu-west-1.amazonaws.com:443/", "eu-west-1", "k", "{}"),
    ("http://127.0.0.1:4566/", "us-east-1", "k", ""),
    ("https://proxy.example/aws/sms voice~1/", "us-east-1", "k", "{}"),
]
HEADERS = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "PinpointSMSVoiceV2.SendTextMessage"}


def vector(url: str, region: str, secret: str, body: str) -> dict[str, str]:
    """One request and the Authorization that botocore gives it at `AT`."""
    moment = datetime.strptime(AT, "%Y%m%dT%H%M%SZ")  # noqa: DTZ007  # as botocore has it
    auth.get_current_datetime = lambda *_, **__: moment
    request = awsrequest.AWSRequest("POST", url, HEADERS, body.encode())
    auth.SigV4Auth(credentials.Credentials("AKIDEXAMPLE", secret), "sms-voice", region).add_auth(request)
    told = {"url": url, "region": region, "secret": secret, "body": body}
    return told | {"authorization": request.headers["Authorization"]}


def main() -> None:
    """Write every vector to stdout as TOML."""
    write = sys.stdout.write
    write("# Signatures by botocore, at 2026-10-26T06:13:20Z with the key AKIDEXAMPLE: see sigv4_vectors.py.\n")
    for request in REQUESTS:
        write("\n[[vector]]\n")
        for name, value in vector(*request).items():
            write(f"{name} = {json.dumps(value, ensure_ascii=False)}\n")


if __name__ == "__main__":
    main()
