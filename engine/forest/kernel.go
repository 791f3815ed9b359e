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

// places says where the sums of a pack's rows lie: the kernels keep every 8th (float64) or 4th (float32) row side by
// side, as that order needs no shuffling of leaf ids.
func (k kernel) places(library Library) (places [packRows]uint8) {
	for row := range places {
		switch {
		case k == kernelPortable:
			places[row] = uint8(row)
		case library == XGBoost:
			places[row] = uint8(row%4*16 + row/4)
		default:
			places[row] = uint8(row%8*8 + row/8)
		}
	}
	return places
}
