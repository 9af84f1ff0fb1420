package procfs

import (
	"reflect"
	"testing"
)

func TestParseTimers(t *testing.T) {
	got, err := ParseTimers("ID: 8\nsignal: 14/0000000000000008\nnotify: signal/pid.28472\nClockID: 1\n" +
		"ID: 2\nsignal: 40/00000000deadbeef\nnotify: none/tid.28473\nClockID: -6\n")
	want := []Timer{
		{ID: 8, Signal: 14, Value: 8, Notify: "signal", Thread: -1, Clock: 1},
		{ID: 2, Signal: 40, Value: 0xdeadbeef, Notify: "none", Thread: 28473, Clock: -6},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got, err := ParseTimers(""); len(got) != 0 || err != nil {
		t.Errorf("of none: %v, %v", got, err)
	}
	for _, bad := range []string{"ID: 8\n", "ID: x\nsignal: 14/8\nnotify: signal/pid.1\nClockID: 1\n", "ID: 1\nsignal: 14/8\nnotify: signal\nClockID: 1\n"} {
		if _, err := ParseTimers(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestParseTimeOffsets(t *testing.T) {
	got, err := ParseTimeOffsets("monotonic           1      500000000\nboottime           -2         1\n")
	if want := (TimeOffsets{Monotonic: 1_500_000_000, Boottime: -1_999_999_999}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := ParseTimeOffsets("monotonic 1\n"); err == nil {
		t.Error("two words are taken")
	}
}
