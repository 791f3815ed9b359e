package fault

import (
	"runtime/debug"

	"github.com/retainwise/millrace/engine"
)

// Recover runs f and returns its error, or a panic in f as an [*engine.PanicError]. Every goroutine of one request, part or
// message runs its work inside Recover, so that a panic fails that one and not the process.
func Recover(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &engine.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
