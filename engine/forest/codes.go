package forest

// Codes are the rows of a batch as the trees see them: the bytes that a [Scorer] makes of their values first, kept for a
// [Contributor], which would make the same. The zero value is ready. They are one worker's scratch and keep their memory
// from batch to batch.
type Codes struct {
	of     *binner // of the forest that they are meant for
	rows   int     // 0: none are kept
	blocks []uint8 // [block][column][blockRows]; the last column is all zero, as in Contributor.codes
}

// Forget leaves no rows behind.
func (k *Codes) Forget() { k.rows = 0 }

// hold makes room for the codes of so many rows.
func (k *Codes) hold(b *binner, rows int) {
	size := (rows + blockRows - 1) / blockRows * b.blockBytes()
	if k.of != b || len(k.blocks) < size {
		k.of, k.blocks = b, alignedBytes(size+size/4)
	}
	k.rows = rows
}

// blockBytes is what the codes of a block take, with the column of zeros.
func (b *binner) blockBytes() int { return (b.columns + 1) * blockRows }

// NewExplainer is [NewExplainer] for the forest that c was compiled from. Its contributors take the [Codes] of c's
// scorers.
func (c *Compiled) NewExplainer(f *Forest) (*Explainer, error) {
	return newExplainer(f, c.binner, c.kernel)
}

// RawCodes is [Scorer.Raw] and keeps the codes of the rows; those of a few rows, which are scored in another way, are not
// kept.
func (s *Scorer) RawCodes(dst []float64, rows Rows, keep *Codes) {
	keep.Forget()
	if rows.Len > s.fewMax {
		keep.hold(s.c.binner, rows.Len)
		s.kept = keep.blocks
	}
	s.Raw(dst, rows)
	s.kept = nil
}

// ContributionsOf is [Contributor.Contributions] of the rows whose codes are kept. It is false, and nothing is written,
// unless those are all rows that are meant and of the forest that is explained. Codes do not say what linear leaves need.
func (c *Contributor) ContributionsOf(dst []float64, rows int, codes *Codes) bool {
	if codes.rows != rows || codes.of != c.e.binner || c.e.linear.trees != nil {
		return false
	}
	stride, size := c.e.stride(), c.e.blockBytes()
	step := c.blocks * blockRows
	for first := 0; first < rows; first += step {
		n := min(step, rows-first)
		c.explain(dst[first*stride:][:n*stride], codes.blocks[first/blockRows*size:], n)
	}
	return true
}
