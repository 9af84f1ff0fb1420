package format

import "encoding/binary"

// TimerOf is the id of the timer of timer_create(2) whose expiry a pending
// signal tells of (siginfo_t, include/uapi/asm-generic/siginfo.h); ok is false if
// it tells of something else.
func TimerOf(info []byte) (id uint32, ok bool) {
	const (
		code    = 8
		timerID = 16
		siTimer = -2 // SI_TIMER
	)
	if len(info) < timerID+4 || int32(binary.LittleEndian.Uint32(info[code:])) != siTimer {
		return 0, false
	}
	return binary.LittleEndian.Uint32(info[timerID:]), true
}
