package bench

import "slices"

// Report is what one suite measured.
type Report struct {
	Suite       string       `json:"suite"`
	Machine     machine      `json:"machine"`
	Command     string       `json:"command"`
	Note        string       `json:"note,omitempty"`
	Comparisons []Comparison `json:"comparisons,omitempty"`
	Latencies   []latency    `json:"latencies,omitempty"`
	Processes   []process    `json:"processes,omitempty"`  // services that were measured, one after the other
	Statements  []statement  `json:"statements,omitempty"` // that the store sends
	Indexes     []indexGain  `json:"indexes,omitempty"`
	Goals       []goal       `json:"goals"`
}

// Comparison is several ways to do the same work, measured in turns. The first is the baseline.
type Comparison struct {
	Name         string        `json:"name"`
	Note         string        `json:"note,omitempty"`
	Clock        string        `json:"clock"` // "cpu": time that cores worked for the process; "wall"
	Trees        int           `json:"trees,omitempty"`
	BytesPerOp   int           `json:"bytes_per_op,omitempty"`
	Measurements []Measurement `json:"measurements"`
}

// Measurement is one way to do the work. Figures without Min in their name are medians over the rounds.
type Measurement struct {
	Name            string    `json:"name"`
	RowsPerOp       int       `json:"rows_per_op"`
	OpsPerRound     int       `json:"ops_per_round"`
	NsPerOp         float64   `json:"ns_per_op"`
	NsPerOpMin      float64   `json:"ns_per_op_min"`
	RowsPerSecond   float64   `json:"rows_per_second"`
	NsPerRowTree    float64   `json:"ns_per_row_tree,omitempty"`
	NsPerRowTreeMin float64   `json:"ns_per_row_tree_min,omitempty"`
	MBPerSecond     float64   `json:"mb_per_second,omitempty"` // 10^6 bytes
	AllocsPerOp     float64   `json:"allocs_per_op"`
	Ratio           float64   `json:"ratio"`           // baseline's time per row / its own; above 1 is faster
	RatioOfMinima   float64   `json:"ratio_of_minima"` // the same of the fastest rounds
	Rounds          []float64 `json:"rounds_ns_per_op"`
}

// process is what a service used, PostgreSQL not counted.
type process struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakMiB    float64 `json:"peak_mib"` // of resident memory; 0: the system does not report it
}

// goal is a figure that the project set out to reach, and what was measured of it.
type goal struct {
	Name   string  `json:"name"`
	Want   float64 `json:"want"`
	AtMost bool    `json:"at_most"` // Want is a ceiling, otherwise a floor
	Unit   string  `json:"unit"`
	Value  float64 `json:"value"`
	Met    bool    `json:"met"`
}

// atLeast adds a goal with a floor.
func (r *Report) atLeast(name string, want float64, unit string, value float64) {
	r.Goals = append(r.Goals, goal{Name: name, Want: want, Unit: unit, Value: value, Met: value >= want})
}

// atMost adds a goal with a ceiling.
func (r *Report) atMost(name string, want float64, unit string, value float64) {
	r.Goals = append(r.Goals, goal{Name: name, Want: want, AtMost: true, Unit: unit, Value: value, Met: value <= want})
}

// find returns a measurement by the names of its comparison and its own; nil if it was not made.
func (r *Report) find(comparison, name string) *Measurement {
	i := slices.IndexFunc(r.Comparisons, func(c Comparison) bool { return c.Name == comparison })
	if i < 0 {
		return nil
	}
	return r.Comparisons[i].find(name)
}

func (c *Comparison) find(name string) *Measurement {
	i := slices.IndexFunc(c.Measurements, func(m Measurement) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Measurements[i]
}

// timeRatio is the median over the rounds of one measurement's time per row divided by another's of the same
// comparison.
func timeRatio(above, below *Measurement) float64 {
	scale := float64(below.RowsPerOp) / float64(above.RowsPerOp)
	return scale * median(ratios(above.Rounds, below.Rounds))
}
