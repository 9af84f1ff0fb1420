package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// QueueAttributes is struct mq_attr (include/uapi/linux/mqueue.h).
type QueueAttributes struct {
	Flags, MostMessages, MessageSize, Messages int64
	_                                          [4]int64
}

// MqOpen is mq_open(2); name is without a slash. a is taken when it makes one.
func MqOpen(name string, flags int, mode uint32, a *QueueAttributes) (int, error) {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return -1, err
	}
	fd, err := call6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)), uintptr(flags), uintptr(mode), uintptr(unsafe.Pointer(a)), 0, 0)
	return int(fd), err
}

// MqUnlink is mq_unlink(2).
func MqUnlink(name string) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	_, err = call6(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0, 0, 0, 0)
	return err
}

// MqAttributes is mq_getattr(3).
func MqAttributes(fd int) (a QueueAttributes, err error) {
	_, err = call6(unix.SYS_MQ_GETSETATTR, uintptr(fd), 0, uintptr(unsafe.Pointer(&a)), 0, 0, 0)
	return a, err
}

// MqSend is mq_send(3).
func MqSend(fd int, data []byte, priority uint32) error {
	var none byte
	at := unsafe.Pointer(&none)
	if len(data) > 0 {
		at = unsafe.Pointer(&data[0])
	}
	_, err := call6(unix.SYS_MQ_TIMEDSEND, uintptr(fd), uintptr(at), uintptr(len(data)), uintptr(priority), 0, 0)
	return err
}

// MqReceive is mq_receive(3); b has room for the largest message.
func MqReceive(fd int, b []byte) (n int, priority uint32, err error) {
	got, err := call6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(unsafe.Pointer(&priority)), 0, 0)
	return int(got), priority, err
}
