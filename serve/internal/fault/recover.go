package fault

import (
	"runtime/debug"

	"github.com/retainwise/millrace/engine"
)

// Recover runs f. A panic in f becomes its error, an [*engine.PanicError]. A goroutine for one request, one part or one
// message is run guarded, as nothing else stands between such a panic and the end of the process.
func Recover(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &engine.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
