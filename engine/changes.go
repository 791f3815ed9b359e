package engine

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// ChangeStatus says whether an upload could be compared with the one before it, and if not, why.
type ChangeStatus string

// Whether an upload could be compared.
const (
	ChangesCompared     ChangeStatus = "compared"
	ChangesModelChanged ChangeStatus = "model_changed"        // only who is new and who is gone can be said
	ChangesFirstUpload  ChangeStatus = "first_upload"         // there is none before it
	ChangesUnavailable  ChangeStatus = "previous_unavailable" // its snapshot is not kept, or has other hashes
	ChangesTooLarge     ChangeStatus = "too_large"
	ChangesNoIDs        ChangeStatus = "no_ids" // no row of one of the two has a customer id
)

// Changes says what became of the customers of the upload before. What cannot be said is absent.
type Changes struct {
	Status    ChangeStatus    `json:"status"`
	Previous  *PreviousUpload `json:"previous"` // null for the first upload
	Before    *ChangeRows     `json:"before,omitempty"`
	After     *ChangeRows     `json:"after,omitempty"`
	Customers *CustomerChange `json:"customers,omitempty"`
	// Expected is of the expected churners, Loss of the expected loss; Loss is absent if nobody has a value.
	Expected *SumChange `json:"expected_churners,omitempty"`
	Loss     *SumChange `json:"expected_loss,omitempty"`
	// Risen and Fallen are the customers whose probability moved most, the largest move first.
	Risen  []RiskChange `json:"risen,omitempty"`
	Fallen []RiskChange `json:"fallen,omitempty"`
	// Explained is how many customers had reasons both times, Factors what moved them all, the strongest first.
	Explained int64          `json:"explained,omitempty"`
	Factors   []FactorChange `json:"factors,omitempty"`
}

// PreviousUpload is what an upload was compared with.
type PreviousUpload struct {
	PredictionID string `json:"prediction_id,omitempty"`
	Filename     string `json:"filename"`
	CreatedAt    string `json:"created_at,omitempty"`
	ModelVersion string `json:"model_version,omitempty"`
}

// ChangeRows is how the scored rows of an upload became customers.
type ChangeRows struct {
	Rows      int64 `json:"rows"`
	Customers int64 `json:"customers,omitempty"`
	WithoutID int64 `json:"without_id,omitempty"` // rows that were left out
	Repeated  int64 `json:"repeated,omitempty"`   // rows whose customer came before in the file: the first row counts
}

// CustomerChange counts customers. The moves are absent if the model changed: a band of another model is another thing.
type CustomerChange struct {
	New       int64  `json:"new"`
	Gone      int64  `json:"gone"`
	Stayed    int64  `json:"stayed"`
	MovedUp   *int64 `json:"moved_up,omitempty"` // into a higher risk band
	MovedDown *int64 `json:"moved_down,omitempty"`
	Unchanged *int64 `json:"unchanged,omitempty"` // in the same band
}

// SumChange is a sum over the customers before and after, and who changed it: After is Before + New + Gone + Stayed.
type SumChange struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	New    float64 `json:"new"`
	Gone   float64 `json:"gone"`   // not above 0 for churners
	Stayed float64 `json:"stayed"` // by what those moved who are in both
}

// RiskChange is a customer whose probability changed.
type RiskChange struct {
	Row         int64          `json:"row"` // in the file at hand
	ID          string         `json:"id,omitempty"`
	Before      float32        `json:"before"`
	After       float32        `json:"after"`
	BandBefore  string         `json:"band_before"`
	BandAfter   string         `json:"band_after"`
	Factors     []FactorChange `json:"factors,omitempty"` // absent unless the customer had reasons both times
	Explanation string         `json:"explanation"`
}

// FactorChange is by how much the contribution of a factor changed: in margin units, above 0 is towards risk.
type FactorChange struct {
	Label   string   `json:"label"`
	Columns []string `json:"columns"`
	Change  float64  `json:"change"`
}

// Compare says what changed from one upload to the next, both given as the snapshots of their parts. It reads each once
// and holds a buffer of bufferBytes for each. The bundle is the one that scored the parts of after. Ids are not in a
// snapshot: the caller sets those of the moves by their rows.
func (b *Bundle) Compare(before, after []io.Reader, bufferBytes int) (Changes, error) {
	old, err := mergeSnapshots(before, b, bufferBytes)
	if err != nil {
		return Changes{}, fmt.Errorf("snapshot before: %w", err)
	}
	now, err := mergeSnapshots(after, b, bufferBytes)
	if err != nil {
		return Changes{}, fmt.Errorf("snapshot after: %w", err)
	}
	if keys := slices.Compact(slices.Concat(old.keys, now.keys)); len(keys) != 1 {
		return Changes{Status: ChangesUnavailable}, nil
	}
	c := newComparison(b)
	if err := join(old, now, c.visit); err != nil {
		return Changes{}, err
	}
	return c.changes(old, now), nil
}

// join visits the customers of both in the order of their hashes; nil stands for the side that has them not.
func join(old, now *snapshotMerge, visit func(before, after *snapshotRecord)) error {
	a, err := old.next()
	if err != nil {
		return err
	}
	b, err := now.next()
	for err == nil && (a != nil || b != nil) {
		switch {
		case b == nil || a != nil && a.hash < b.hash:
			visit(a, nil)
			a, err = old.next()
		case a == nil || b.hash < a.hash:
			visit(nil, b)
			b, err = now.next()
		default:
			visit(a, b)
			if a, err = old.next(); err == nil {
				b, err = now.next()
			}
		}
	}
	return err
}

// comparison adds up what a join visits.
type comparison struct {
	bundle         *Bundle
	counts         CustomerChange
	up, down, same int64
	expected, loss SumChange
	hasValue       bool // somebody has a value
	explained      int64
	factorSums     []float64 // sum of the change by factor
	risen, fallen  []recordPair
}

func newComparison(b *Bundle) *comparison {
	c := &comparison{bundle: b}
	if b.explainer != nil {
		c.factorSums = make([]float64, len(b.explainer.book.groups))
	}
	return c
}

func (c *comparison) visit(before, after *snapshotRecord) {
	switch {
	case before == nil:
		c.counts.New++
		c.expected.New += float64(after.probability)
		c.loss.New += c.lossOf(after)
	case after == nil:
		c.counts.Gone++
		c.expected.Gone -= float64(before.probability)
		c.loss.Gone -= c.lossOf(before)
	default:
		c.addStayed(before, after)
	}
	if before != nil {
		c.expected.Before += float64(before.probability)
		c.loss.Before += c.lossOf(before)
	}
	if after != nil {
		c.expected.After += float64(after.probability)
		c.loss.After += c.lossOf(after)
	}
}

// lossOf is the expected loss of a customer, 0 without a value.
func (c *comparison) lossOf(r *snapshotRecord) float64 {
	if math.IsNaN(r.value) {
		return 0
	}
	c.hasValue = true
	return float64(float64(r.probability) * r.value)
}

// addStayed takes a customer who is in both.
func (c *comparison) addStayed(before, after *snapshotRecord) {
	c.counts.Stayed++
	c.expected.Stayed += float64(after.probability) - float64(before.probability)
	c.loss.Stayed += c.lossOf(after) - c.lossOf(before)
	switch {
	case after.band > before.band:
		c.up++
	case after.band < before.band:
		c.down++
	default:
		c.same++
	}
	if bothExplained(before, after) && len(after.factors) == len(c.factorSums) {
		c.explained++
		for i := range c.factorSums {
			c.factorSums[i] += after.factors[i] - before.factors[i]
		}
	}
	switch {
	case after.probability > before.probability:
		c.risen = insertLargest(c.risen, before, after)
	case after.probability < before.probability:
		c.fallen = insertLargest(c.fallen, before, after)
	}
}

// changes is the result of a finished join.
func (c *comparison) changes(old, now *snapshotMerge) Changes {
	result := Changes{Status: ChangesCompared, Before: &old.rows, After: &now.rows, Customers: &c.counts}
	switch {
	case old.rows.Customers == 0 || now.rows.Customers == 0:
		result.Status, result.Customers = ChangesNoIDs, nil
		return result
	case !old.sameModel || !now.sameModel:
		result.Status = ChangesModelChanged
		return result
	}
	c.counts.MovedUp, c.counts.MovedDown, c.counts.Unchanged = &c.up, &c.down, &c.same
	result.Expected = c.expected.rounded()
	if c.hasValue {
		result.Loss = c.loss.rounded()
	}
	for _, m := range c.risen {
		result.Risen = append(result.Risen, c.bundle.riskChange(&m))
	}
	for _, m := range c.fallen {
		result.Fallen = append(result.Fallen, c.bundle.riskChange(&m))
	}
	result.Explained, result.Factors = c.explained, c.factors()
	return result
}

func (s SumChange) rounded() *SumChange {
	return &SumChange{
		roundFigure(s.Before), roundFigure(s.After), roundFigure(s.New), roundFigure(s.Gone), roundFigure(s.Stayed),
	}
}

// factors is the mean change of each factor that may be shown, the strongest first.
func (c *comparison) factors() []FactorChange {
	if c.explained == 0 {
		return nil
	}
	var list []FactorChange
	for i, d := range c.bundle.explainer.book.newDriverTallies() {
		if !d.Sensitive {
			list = append(list, FactorChange{d.Label, d.Columns, roundFigure(c.factorSums[i] / float64(c.explained))})
		}
	}
	return strongestFirst(list)
}
