package logging

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const hidden = "SECRET-7b1f"

func TestLog_AllowedKeysOnly(t *testing.T) {
	var text strings.Builder
	log := NewLogger(&text, nil)
	log.Info("hello", "route", "/x", "filename", hidden, "error", errors.New(strings.Repeat("e", 10_000)), "rows", 7,
		"stage", "a\r\nb\x1b\u2028c")
	log.WithGroup("g").Info("hello", "route", hidden)
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || strings.Contains(text.String(), hidden) || len(lines[0]) > 3000 {
		t.Fatalf("got %s", text.String())
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line["route"] != "/x" || line["rows"] != 7.0 || line["msg"] != "hello" || line["stage"] != "a\r\nb\x1b\u2028c" {
		t.Errorf("got %v", line)
	}
	if strings.ContainsAny(lines[0], "\r\x1b\u2028") {
		t.Error("control characters reach the log")
	}
}
