// An SMSC on npm's smpp: the last digit of a number says what becomes of its message. Prints what it saw, a JSON a line.
const smpp = require('smpp');
const say = (told) => process.stdout.write(JSON.stringify(told) + '\n');
let count = 0;

const server = smpp.createServer({}, (session) => {
  session.on('error', (error) => say({ error: String(error) }));
  for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(bind, (pdu) => {
      say({ bind, system_id: pdu.system_id, version: pdu.interface_version });
      if (pdu.password !== 'secret') return session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
      session.send(pdu.response({ system_id: 'node' }));
    });
  }
  session.on('submit_sm', (pdu) => {
    const number = pdu.destination_addr;
    const text = pdu.short_message && pdu.short_message.message;
    const message = Buffer.isBuffer(text) ? text.toString('hex') : text;
    say({ number, message, validity: pdu.validity_period, source: pdu.source_addr, ton: pdu.source_addr_ton });
    if (number.endsWith('9')) return session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    if (number.endsWith('7')) return session.socket.destroy();
    const id = 'node-' + ++count;
    const answer = () => session.send(pdu.response({ message_id: id }));
    const report = () => session.deliver_sm({
      esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT, source_addr: number, destination_addr: pdu.source_addr,
      short_message: number.endsWith('6') ? 'utter nonsense: id' : `id:${id} stat:DELIVRD err:000`,
      receipted_message_id: id, message_state: number.endsWith('8') ? 5 : 2,
    });
    if (number.endsWith('5')) { report(); answer(); } else { answer(); report(); }
  });
  session.on('deliver_sm_resp', (pdu) => say({ receipt: pdu.command_status }));
  session.on('enquire_link', (pdu) => { say({ enquired: true }); session.send(pdu.response()); });
  session.on('unbind', (pdu) => { say({ unbound: true }); session.send(pdu.response()); session.close(); });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => say({ listening: true }));
