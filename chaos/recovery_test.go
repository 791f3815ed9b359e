package main

import (
	"testing"
	"time"
)

// Time without a part that waits is no recovery.
func TestNextCommit(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	commits := []commit{
		{queued: at(0), at: at(5)},
		{queued: at(20), at: at(22)},
		{queued: at(18), at: at(30)},
	}
	for _, test := range []struct{ kill, next, waited int }{
		{kill: 1, next: 5, waited: 1},
		{kill: 10, next: 22, waited: 18}, // the file that was done last came first
		{kill: 19, next: 22, waited: 19},
		{kill: 23, next: 30, waited: 23},
	} {
		next, waited := nextCommit(commits, at(test.kill))
		if next == nil || !next.at.Equal(at(test.next)) || !waited.Equal(at(test.waited)) {
			t.Errorf("kill at %d: %+v, waited since %s", test.kill, next, waited)
		}
	}
	if next, _ := nextCommit(commits, at(31)); next != nil {
		t.Errorf("%+v", next)
	}
}
