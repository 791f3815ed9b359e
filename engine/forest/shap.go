package forest

// Explainer computes contributions: exact path-dependent TreeSHAP, in margin units (log-odds for a sigmoid). It is
// immutable and may be shared; each worker takes a [Contributor] of its own.
type Explainer struct {
	exact *ExactExplainer
}

// NewExplainer returns the explainer of a validated forest. Forests with linear leaves ([ErrLinearLeaves]) or without
// covers ([ErrNoCovers]) are refused.
func NewExplainer(f *Forest) (*Explainer, error) {
	exact, err := NewExactExplainer(f)
	if err != nil {
		return nil, err
	}
	return &Explainer{exact}, nil
}

// NewContributor returns the scratch of one worker.
func (e *Explainer) NewContributor() *Contributor {
	return &Contributor{e}
}

// Contributor computes the contributions of batches of rows. It is used by one goroutine at a time.
type Contributor struct {
	e *Explainer
}

// Contributions writes what [ExactExplainer.Contributions] writes: per row and class one contribution per feature and
// then the bias.
func (c *Contributor) Contributions(dst []float64, rows Rows) {
	c.e.exact.Contributions(dst, rows)
}
