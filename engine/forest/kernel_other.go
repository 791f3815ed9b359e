//go:build !amd64 || purego

package forest

func detectKernel() kernel { return kernelPortable }

// scoreGroup is never reached: without a kernel no program has a stream.
func (s *Scorer) scoreGroup(*group, []uint8, int, int) { panic("forest: no kernel on this platform") }
