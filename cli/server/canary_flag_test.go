package server

import (
	"testing"
	"time"
)

func TestCanaryInterval(t *testing.T) {
	for text, want := range map[string]time.Duration{"off": 0, "1m": time.Minute, "1s": time.Second} {
		var i canaryInterval
		if err := i.UnmarshalText([]byte(text)); err != nil || time.Duration(i) != want {
			t.Errorf("%s: %s, %v", text, time.Duration(i), err)
		}
	}
	for _, text := range []string{"", "0", "-1m", "10ms", "often"} {
		var i canaryInterval
		if err := i.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %s", text, time.Duration(i))
		}
	}
}
