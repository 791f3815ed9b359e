//go:build !amd64 || purego

package forest

// These are never reached: without a kernel no explainer chooses it.

func (c *Contributor) addRunVectors(*shapRun, []uint8, int) {
	panic("forest: no kernel on this platform")
}

func addSumsAVX512([]float64, []float32, int) { panic("forest: no kernel on this platform") }
