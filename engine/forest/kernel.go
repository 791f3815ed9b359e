package forest

// kernel is a way to score full packs of rows.
type kernel uint8

const (
	kernelPortable kernel = iota
	kernelAVX2
	kernelAVX512
)

// bestKernel is chosen once, by what the processor has; nothing writes it afterwards.
var bestKernel = detectKernel()

func (k kernel) String() string {
	switch k {
	case kernelAVX512:
		return "avx512"
	case kernelAVX2:
		return "avx2"
	}
	return "portable"
}

// leavesMax is the size from which on a tree is walked: the work of evaluating all nodes grows with the leaves, that of
// walking with the depth.
func (k kernel) leavesMax() int {
	switch k {
	case kernelAVX512:
		return 1536
	case kernelAVX2:
		return 1024
	}
	return 64
}

// places says where the sums of a pack's rows lie. The kernels keep every 8th (float64) or 4th (float32) row of a
// register side by side, as that order needs no shuffling of leaf ids.
func (k kernel) places(library Library) (places [packRows]uint8) {
	width, step := 64, 8 // rows in a register, and between neighbours
	if k == kernelAVX2 {
		width = 32
	}
	if library == XGBoost {
		step = 4
	}
	for row := range places {
		places[row] = uint8(row)
		if k != kernelPortable {
			first, at := row/width*width, row%width
			places[row] = uint8(first + at%step*(width/step) + at/step)
		}
	}
	return places
}
