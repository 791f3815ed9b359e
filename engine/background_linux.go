package engine

import (
	"runtime"
	"syscall"
)

// backgroundNice leaves such a thread about a tenth of a core that another one wants too.
const backgroundNice = 10

// lowerPriority ties the goroutine to a thread that the system runs when others leave it time. The thread ends with the
// goroutine: a program may not raise its priority again.
func lowerPriority() {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, backgroundNice) // of this thread; without it nothing is lost
}
