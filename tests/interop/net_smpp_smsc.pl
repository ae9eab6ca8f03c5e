# An SMSC on Net::SMPP for one ESME: the last digit of a number says what becomes of its message. Prints one line for
# each submission: number, data coding, text in hexadecimal, parameter 0x1400.
use strict;
use warnings;
use Net::SMPP;
$| = 1;

my ($port) = @ARGV;
my $listener = Net::SMPP->new_listen('127.0.0.1', port => $port, smpp_version => 0x34) or die "cannot listen: $!";
print "listening\n";
my $esme = $listener->accept or die "nobody came: $!";
my $count = 0;
while (my $pdu = $esme->read_pdu()) {
    my $cmd = $pdu->{cmd};
    if ($cmd == Net::SMPP::CMD_bind_transceiver) {
        $esme->bind_transceiver_resp(system_id => 'perl', seq => $pdu->{seq});
    } elsif ($cmd == Net::SMPP::CMD_submit_sm) {
        my $number = $pdu->{destination_addr};
        my $entity = defined $pdu->{0x1400} ? $pdu->{0x1400} : '';
        printf "%s %d %s %s\n", $number, $pdu->{data_coding}, unpack('H*', $pdu->{short_message}), $entity;
        if ($number =~ /9$/) {
            $esme->submit_sm_resp(message_id => '', status => 0x58, seq => $pdu->{seq});
            next;
        }
        my $id = sprintf 'perl-%04d', ++$count;
        my $stat = $number =~ /8$/ ? 'EXPIRED' : 'DELIVRD';
        $esme->submit_sm_resp(message_id => $id, seq => $pdu->{seq});
        $esme->deliver_sm(
            async => 1, esm_class => 0x04, source_addr => $number, destination_addr => $pdu->{source_addr},
            short_message => "id:$id sub:001 dlvrd:001 submit date:2611251626 done date:2611251627 stat:$stat err:000 text:",
        );
    } elsif ($cmd == Net::SMPP::CMD_enquire_link) {
        $esme->enquire_link_resp(seq => $pdu->{seq});
    } elsif ($cmd == Net::SMPP::CMD_unbind) {
        $esme->unbind_resp(seq => $pdu->{seq});
        print "unbound\n";
        last;
    } elsif ($cmd == Net::SMPP::CMD_deliver_sm_resp) {
        printf "receipt answered %d\n", $pdu->{status};
    }
}
