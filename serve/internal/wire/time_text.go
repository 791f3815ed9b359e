package wire

import (
	"time"
)

// TimeText formats a time as the API does: RFC 3339 in UTC, with milliseconds.
func TimeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
