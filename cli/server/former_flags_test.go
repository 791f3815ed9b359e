package server

import (
	"strings"
	"testing"
)

// TestFormerFlags checks that the flag names of the previous release are accepted.
func TestFormerFlags(t *testing.T) {
	for _, flag := range []string{"--s-3-bucket", "--s-3-endpoint", "--s-3-region", "--auth-jwksurl"} {
		status, _, messages := command(t, "", "serve", flag, "x", "--role", "none")
		if status == 0 || strings.Contains(messages, "unknown flag") || !strings.Contains(messages, "--role") {
			t.Errorf("%s: %d %s", flag, status, messages)
		}
	}
	if _, _, messages := command(t, "", "serve", "--s-4-bucket", "x"); !strings.Contains(messages, "unknown flag") {
		t.Errorf("another flag: %s", messages)
	}
}
