//go:build !linux

package bench

import "time"

const cpuClock = false

// processTime is the time on the wall since 1970, in steps that the system allows.
func processTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
