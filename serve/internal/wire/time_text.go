package wire

import (
	"time"
)

// TimeText writes times as the whole API does: UTC, milliseconds.
func TimeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
