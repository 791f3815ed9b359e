package server

import (
	"fmt"
	"time"
)

// canaryInterval is a duration, or "off", which is zero.
type canaryInterval time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (i *canaryInterval) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*i = 0
		return nil
	}
	const least = time.Second
	d, err := time.ParseDuration(string(text))
	if err != nil || d < least {
		return fmt.Errorf("%q is neither off nor a duration of %s or more, such as 1m", text, least)
	}
	*i = canaryInterval(d)
	return nil
}
