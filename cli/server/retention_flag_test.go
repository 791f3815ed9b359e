package server

import (
	"testing"
	"time"
)

func TestRetention(t *testing.T) {
	for text, want := range map[string]time.Duration{"off": 0, "90d": 90 * 24 * time.Hour, "36h": 36 * time.Hour} {
		var r retention
		if err := r.UnmarshalText([]byte(text)); err != nil || time.Duration(r) != want {
			t.Errorf("%s: %s, %v", text, time.Duration(r), err)
		}
	}
	for _, text := range []string{"", "0", "0d", "-1d", "1m", "d", "90", "99999d", "often"} {
		var r retention
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %s", text, time.Duration(r))
		}
	}
}
