package sys

// States of a TCP socket (include/net/tcp_states.h).
const (
	TCPEstablished = 1
	TCPSynSent     = 2
	TCPFinWait1    = 4
	TCPFinWait2    = 5
	TCPClose       = 7
	TCPCloseWait   = 8
	TCPLastAck     = 9
	TCPClosing     = 11
)

// Values of TCP_REPAIR_QUEUE (include/net/tcp.h).
const (
	RepairNone    = 0
	RepairReceive = 1
	RepairSend    = 2
)
