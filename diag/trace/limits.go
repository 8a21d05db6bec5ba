package trace

import "time"

// Bounds of a recorder. Together with what is decoded it takes about 6 MB at most.
const (
	// maxPackets and maxBytes are what is kept; the oldest go first. One piece may hold more packets than that, if they are
	// tiny: a piece is kept or forgotten as a whole.
	maxPackets = 5000
	maxBytes   = 4 << 20
	// maxPayload is how much of a payload is shown.
	maxPayload = 16 << 10
	// maxWill is how much of a will's payload is shown.
	maxWill = 1 << 10
	// maxList is how many filters, codes or user properties of one packet are shown.
	maxList = 100
	// headBytes are kept of each direction's first packet, so that the checker knows CONNECT and CONNACK when the rest is gone.
	// Tokens in place of passwords make a CONNECT of 1 to 3 KB.
	headBytes = 8 << 10

	// A viewer gets batchPackets packets, or batchBytes of them, at most every batchPause: far more than a person follows, and little enough that
	// decoding does not take from the relay what it needs. What goes by meanwhile it can ask for later, as long as it is kept.
	batchPackets = 250
	batchBytes   = 128 << 10
	batchPause   = 50 * time.Millisecond

	pageBytes      = 64 << 10 // what is kept lies in pages, made one at a time
	firstPageBytes = 4 << 10
)
