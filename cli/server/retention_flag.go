package server

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// retention is a time in days, "90d", or in smaller units; "off" is 0.
type retention time.Duration

const retentionMin = time.Hour

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *retention) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "off" {
		*r = 0
		return nil
	}
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		d = time.Duration(n) * 24 * time.Hour
	} else {
		d, err = time.ParseDuration(s)
	}
	if err != nil || d < retentionMin {
		return errors.New("must be a time like 90d, at least 1h, or off")
	}
	*r = retention(d)
	return nil
}
