package engine

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Observed is a scored customer with the observed outcome.
type Observed struct {
	Probability float32
	Band        int16 // index of the risk band; -1 if unknown
	Churned     bool
	Group       string // experiment group; empty for none
}

// OutcomeReport compares a model's predictions with the observed outcomes.
type OutcomeReport struct {
	Customers       int64    `json:"customers"`
	Churned         int64    `json:"churned"`
	ActualRate      float64  `json:"actual_rate"`
	MeanProbability float64  `json:"mean_probability"`
	AUC             *float64 `json:"auc"`   // nil if all customers left or none did
	Brier           float64  `json:"brier"` // mean of (p - y)²; 0 is perfect

	Bands       []BandReport        `json:"bands"`
	Deciles     []DecileReport      `json:"deciles"`
	Calibration []CalibrationReport `json:"calibration"`
	Contacted   []ContactReport     `json:"contacted"`
	Groups      []GroupReport       `json:"experiment_groups"`
	Note        string              `json:"note"`
}

// CohortReport counts the outcomes of some of the customers.
type CohortReport struct {
	Customers       int64   `json:"customers"`
	Churned         int64   `json:"churned"`
	ActualRate      float64 `json:"actual_rate"`
	MeanProbability float64 `json:"mean_probability"`
}

// BandReport is the outcome of one risk band.
type BandReport struct {
	Band string `json:"band"`
	CohortReport
}

// DecileReport is the outcome of a tenth of the customers; decile 1 has the highest probabilities.
type DecileReport struct {
	Decile int     `json:"decile"`
	Lift   float64 `json:"lift"` // churn rate of the decile / overall churn rate; 0 if no customer left
	CohortReport
}

// CalibrationReport is the outcome of the customers with a probability in (From, To]; the first bin includes 0.
type CalibrationReport struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	CohortReport
}

// ContactReport is the outcome of the Contacted customers with the highest probabilities.
type ContactReport struct {
	Contacted int64   `json:"contacted"`
	Share     float64 `json:"share"`     // of all customers
	Churned   int64   `json:"churned"`   // among the contacted
	Precision float64 `json:"precision"` // share of the contacted customers who left
	Recall    float64 `json:"recall"`    // share of the customers who left who are among the contacted
}

// GroupReport is the outcome of one experiment group.
type GroupReport struct {
	Group *string `json:"experiment_group"` // nil for customers without a group
	CohortReport
	AUC   *float64 `json:"auc"`
	Brier float64  `json:"brier"`
}

// contactBias is the note of every report: the bias to know before trusting the figures.
const contactBias = "Customers who were contacted and therefore stayed count as false alarms here, so a model looks " +
	"worse the better the contacts worked. Compare an experiment group that was contacted with one that was not."

// contactShares are the shares of contacted customers that a report covers.
var contactShares = [...]float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5}

const (
	deciles         = 10
	calibrationBins = 10
)

// NewOutcomeReport compares predictions with outcomes. bands are the names of the risk bands in order. There must be at
// least one customer. It sorts customers in place by probability; equal ones keep their order. It retains no reference
// to them.
func NewOutcomeReport(customers []Observed, bands []string) OutcomeReport {
	slices.SortStableFunc(customers, func(a, b Observed) int { return cmp.Compare(b.Probability, a.Probability) })
	all := newCohortReport(customers)
	p := OutcomeReport{
		Customers: all.Customers, Churned: all.Churned,
		ActualRate: all.ActualRate, MeanProbability: all.MeanProbability,
		AUC: auc(customers), Brier: brier(customers),
		Bands: bandReports(customers, bands), Deciles: decileReports(customers, all),
		Calibration: calibrationReports(customers), Contacted: contactReports(customers, all),
		Groups: groupReports(customers), Note: contactBias,
	}
	return p
}

func newCohortReport(customers []Observed) CohortReport {
	var sum float64
	c := CohortReport{Customers: int64(len(customers)), Churned: countChurned(customers)}
	for _, o := range customers {
		sum += float64(o.Probability)
	}
	n := float64(len(customers))
	c.ActualRate, c.MeanProbability = ratio(float64(c.Churned), n), ratio(sum, n)
	return c
}

func countChurned(customers []Observed) (n int64) {
	for _, o := range customers {
		if o.Churned {
			n++
		}
	}
	return n
}

// auc returns the area under the ROC curve: the chance that of a customer who left and one who stayed, the one who left
// has the higher probability; ties count half. customers must be sorted by descending probability. It returns nil if
// all left or all stayed.
func auc(customers []Observed) *float64 {
	var left, stayed, won float64 // of the previous runs of equal probabilities; pairs in the right order
	for len(customers) > 0 {
		end := 1
		for end < len(customers) && customers[end].Probability == customers[0].Probability {
			end++
		}
		l := float64(countChurned(customers[:end]))
		s := float64(end) - l
		won += float64(s * (left + float64(l/2)))
		left, stayed = left+l, stayed+s
		customers = customers[end:]
	}
	if left == 0 || stayed == 0 {
		return nil
	}
	a := roundFigure(won / (left * stayed))
	return &a
}

func brier(customers []Observed) float64 {
	var sum float64
	for _, o := range customers {
		d := float64(o.Probability)
		if o.Churned {
			d--
		}
		sum += float64(d * d)
	}
	return ratio(sum, float64(len(customers)))
}

// bandReports returns one entry per band, including empty bands.
func bandReports(customers []Observed, bands []string) []BandReport {
	list := make([]BandReport, len(bands))
	of := make([][]Observed, len(bands))
	for _, o := range customers {
		if o.Band >= 0 && int(o.Band) < len(bands) {
			of[o.Band] = append(of[o.Band], o)
		}
	}
	for i := range list {
		list[i] = BandReport{bands[i], newCohortReport(of[i])}
	}
	return list
}

// decileReports leaves out empty deciles, which fewer than ten customers have.
func decileReports(customers []Observed, all CohortReport) []DecileReport {
	list := []DecileReport{}
	for i := range deciles {
		c := newCohortReport(customers[len(customers)*i/deciles : len(customers)*(i+1)/deciles])
		if c.Customers > 0 {
			list = append(list, DecileReport{i + 1, ratio(c.ActualRate, all.ActualRate), c})
		}
	}
	return list
}

// calibrationReports leaves out empty bins.
func calibrationReports(customers []Observed) []CalibrationReport {
	list := []CalibrationReport{}
	for i := range calibrationBins {
		from, to := float64(i)/calibrationBins, float64(i+1)/calibrationBins
		first := sort.Search(len(customers), func(j int) bool { return float64(customers[j].Probability) <= to })
		end := sort.Search(len(customers), func(j int) bool { return float64(customers[j].Probability) <= from })
		if i == 0 {
			end = len(customers)
		}
		if c := newCohortReport(customers[first:end]); c.Customers > 0 {
			list = append(list, CalibrationReport{from, to, c})
		}
	}
	return list
}

func contactReports(customers []Observed, all CohortReport) []ContactReport {
	list := []ContactReport{}
	for _, share := range contactShares {
		n := int64(math.Ceil(share * float64(len(customers))))
		hit := countChurned(customers[:n])
		list = append(list, ContactReport{
			Contacted: n, Share: share, Churned: hit,
			Precision: ratio(float64(hit), float64(n)), Recall: ratio(float64(hit), float64(all.Churned)),
		})
	}
	return list
}

// groupReports sorts by group name; customers without a group come first.
func groupReports(customers []Observed) []GroupReport {
	list := []GroupReport{}
	of := map[string][]Observed{}
	for _, o := range customers {
		of[o.Group] = append(of[o.Group], o)
	}
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		g := GroupReport{CohortReport: newCohortReport(of[name]), AUC: auc(of[name]), Brier: brier(of[name])}
		if name != "" {
			g.Group = &name
		}
		list = append(list, g)
	}
	return list
}
