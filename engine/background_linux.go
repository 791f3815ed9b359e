package engine

import (
	"runtime"
	"syscall"
)

// backgroundNice is the nice value of background threads: about a tenth of a core when another thread wants it too.
const backgroundNice = 10

// lowerPriority locks the goroutine to its thread and raises the thread's nice value. The thread is never unlocked and
// ends with the goroutine, as an unprivileged process cannot lower the value again. Failures are ignored.
func lowerPriority() {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, backgroundNice) // 0: the calling thread
}
