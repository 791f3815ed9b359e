// Package logging has the logger of all packages: JSON lines with an allow-list of keys. Messages belong to the callers.
package logging

import (
	"io"
	"log/slog"
	"slices"
)

// logKeys are the only attributes that reach the log. An allow-list, because a list of what to leave out always misses
// something: no key here may carry a customer's value, token or file name.
var logKeys = []string{
	slog.TimeKey, slog.LevelKey, slog.MessageKey, "error",
	"request_id", "method", "route", "status", "code", "duration_ms", "bytes_in", "bytes_out", "traceparent",
	"prediction_id", "upload_id", "generation", "part", "chunk", "epoch", "attempt", "stage", "worker", "rows",
	"rejected", "model", "version", "kernel", "sha256", "address", "path", "mode", "signal", "component", "panic", "stack",
	"dependency", "service", "operation", "pause", "limit", "count", "bytes", "kernel_bytes", "listener", "rows_per_second", "result",
	"created", "user", "expired", "orphans",
	"previous", "logins_apart", "copy_by_temporary_table",
	"reason", "objects", "installation", "sweeps_of_database", "sweeps_of_store", "state", "was", "is",
	"alias", "existed", "changed", "every_user", "every_dataset",
}

const logValueBytesMax = 2 << 10

// NewLogger returns a logger that writes JSON lines. It drops attributes whose key is not in logKeys, and truncates values
// of more than 2 KiB. A nil level means Info.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: allowedAttr}))
}

func allowedAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 || !slices.Contains(logKeys, a.Key) {
		return slog.Attr{}
	}
	var text string
	switch v := a.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
	default:
		return a
	}
	if len(text) > logValueBytesMax {
		text = text[:logValueBytesMax] + "…"
	}
	return slog.String(a.Key, text)
}
