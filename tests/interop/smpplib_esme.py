"""An ESME on smpplib: binds, sends one message of the text it is given, waits for its receipt, prints both as JSON."""

import json
import logging
import sys
from typing import Any

import smpplib.client
import smpplib.consts
import smpplib.gsm

logging.disable(logging.CRITICAL)
port, number, text = int(sys.argv[1]), sys.argv[2], sys.argv[3]
told: dict[str, list[str]] = {"ids": [], "receipts": []}
parts, encoding, extra = smpplib.gsm.make_parts(text)
client = smpplib.client.Client("127.0.0.1", port, timeout=15)


def received(pdu: Any) -> None:
    told["receipts"].append(pdu.short_message.decode("latin1"))


client.set_message_sent_handler(lambda pdu: told["ids"].append(pdu.message_id.decode()))
client.set_message_received_handler(received)
client.connect()
client.bind_transceiver(system_id="north", password="northpwd")
for part in parts:
    client.send_message(
        source_addr_ton=5,
        source_addr="SHOP",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=number,
        short_message=part,
        data_coding=encoding,
        esm_class=extra,
        registered_delivery=True,
    )
while not told["receipts"]:
    client.read_once()
client.unbind()
client.disconnect()
sys.stdout.write(json.dumps(told))
