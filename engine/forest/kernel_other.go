//go:build !amd64 || purego

package forest

func detectKernel() kernel { return kernelPortable }

// addPacks is never reached.
func (s *Scorer) addPacks(*group, []uint8, int, int) { panic("forest: no kernel on this platform") }

const vectorRows = 16

// binVector is never reached: without a kernel nothing is prepared for vectors.
func (n *numericBins) binVector(int, []uint8, []uint8, []float64) {
	panic("forest: no kernel on this platform")
}

func kernelEights64([]fewTrees, *portableNodes, float64, []uint8) float64 {
	panic("forest: no kernel on this platform")
}

func kernelEights32([]fewTrees, *portableNodes, float32, []uint8) float32 {
	panic("forest: no kernel on this platform")
}

// binRow has nothing to do: without a kernel nothing is prepared for vectors.
func binRow([]uint8, []float64, []rowPart, bool) {}

const rowKernel = false

func kernelRow64(*rowStream, float64, []uint8) float64 { panic("forest: no kernel on this platform") }

func kernelRow32(*rowStream, float32, []uint8) float32 { panic("forest: no kernel on this platform") }
