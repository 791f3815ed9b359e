package engine

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Observed is a scored customer of whom it is known whether they left.
type Observed struct {
	Probability float32
	Band        int16 // -1 if it is not known
	Churned     bool
	Group       string // experiment group; empty is none
}

// Proof is how well a model's predictions came true.
type Proof struct {
	Customers       int64    `json:"customers"`
	Churned         int64    `json:"churned"`
	ActualRate      float64  `json:"actual_rate"`
	MeanProbability float64  `json:"mean_probability"`
	AUC             *float64 `json:"auc"`   // nil if all left or none did
	Brier           float64  `json:"brier"` // mean of (p - y)²; 0 is perfect

	Bands       []BandProof        `json:"bands"`
	Deciles     []DecileProof      `json:"deciles"`
	Calibration []CalibrationProof `json:"calibration"`
	Contacted   []ContactProof     `json:"contacted"`
	Groups      []GroupProof       `json:"experiment_groups"`
	Note        string             `json:"note"`
}

// CohortProof is what became of some of the customers.
type CohortProof struct {
	Customers       int64   `json:"customers"`
	Churned         int64   `json:"churned"`
	ActualRate      float64 `json:"actual_rate"`
	MeanProbability float64 `json:"mean_probability"`
}

// BandProof is one risk band.
type BandProof struct {
	Band string `json:"band"`
	CohortProof
}

// DecileProof is a tenth of the customers; the first are the likeliest to leave.
type DecileProof struct {
	Decile int     `json:"decile"`
	Lift   float64 `json:"lift"` // their rate / the rate of all; 0 if nobody left
	CohortProof
}

// CalibrationProof is the customers with a probability above From, up to To.
type CalibrationProof struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	CohortProof
}

// ContactProof is what contacting the first customers of the list would have hit.
type ContactProof struct {
	Contacted int64   `json:"contacted"`
	Share     float64 `json:"share"`     // of all customers
	Churned   int64   `json:"churned"`   // among the contacted
	Precision float64 `json:"precision"` // share of the contacted who left
	Recall    float64 `json:"recall"`    // share of those who left who are among the contacted
}

// GroupProof is the customers of one experiment group.
type GroupProof struct {
	Group *string `json:"experiment_group"` // nil: of none
	CohortProof
	AUC   *float64 `json:"auc"`
	Brier float64  `json:"brier"`
}

// contactBias is the one thing to know before believing a proof.
const contactBias = "Customers who were contacted and therefore stayed count as false alarms here, so a model looks " +
	"worse the better the contacts worked. Compare an experiment group that was contacted with one that was not."

// contactShares are where precision among the contacted is told.
var contactShares = [...]float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5}

const (
	deciles         = 10
	calibrationBins = 10
)

// Prove holds predictions against what happened. bands names the risk bands in order. Customers of equal probability
// stay in the order given, so that order should mean nothing. It keeps no reference to customers, which it sorts; there
// must be at least one.
func Prove(customers []Observed, bands []string) Proof {
	slices.SortStableFunc(customers, func(a, b Observed) int { return cmp.Compare(b.Probability, a.Probability) })
	all := cohortOf(customers)
	p := Proof{
		Customers: all.Customers, Churned: all.Churned,
		ActualRate: all.ActualRate, MeanProbability: all.MeanProbability,
		AUC: auc(customers), Brier: brier(customers),
		Bands: proveBands(customers, bands), Deciles: proveDeciles(customers, all),
		Calibration: proveCalibration(customers), Contacted: proveContacts(customers, all),
		Groups: proveGroups(customers), Note: contactBias,
	}
	return p
}

func cohortOf(customers []Observed) CohortProof {
	var sum float64
	c := CohortProof{Customers: int64(len(customers)), Churned: churned(customers)}
	for _, o := range customers {
		sum += float64(o.Probability)
	}
	n := float64(len(customers))
	c.ActualRate, c.MeanProbability = ratio(float64(c.Churned), n), ratio(sum, n)
	return c
}

func churned(customers []Observed) (n int64) {
	for _, o := range customers {
		if o.Churned {
			n++
		}
	}
	return n
}

// auc is the chance that of two customers, one who left and one who stayed, the one who left has the higher
// probability; equal ones count half. The customers are sorted by falling probability.
func auc(customers []Observed) *float64 {
	var left, stayed, won float64 // of the runs before; pairs that are in the right order
	for len(customers) > 0 {
		end := 1
		for end < len(customers) && customers[end].Probability == customers[0].Probability {
			end++
		}
		l := float64(churned(customers[:end]))
		s := float64(end) - l
		won += float64(s * (left + float64(l/2)))
		left, stayed = left+l, stayed+s
		customers = customers[end:]
	}
	if left == 0 || stayed == 0 {
		return nil
	}
	a := published(won / (left * stayed))
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

// proveBands has every band of the model, also the empty ones.
func proveBands(customers []Observed, bands []string) []BandProof {
	list := make([]BandProof, len(bands))
	of := make([][]Observed, len(bands))
	for _, o := range customers {
		if o.Band >= 0 && int(o.Band) < len(bands) {
			of[o.Band] = append(of[o.Band], o)
		}
	}
	for i := range list {
		list[i] = BandProof{bands[i], cohortOf(of[i])}
	}
	return list
}

// proveDeciles leaves out those that nobody falls into, of fewer than ten customers.
func proveDeciles(customers []Observed, all CohortProof) []DecileProof {
	list := []DecileProof{}
	for i := range deciles {
		c := cohortOf(customers[len(customers)*i/deciles : len(customers)*(i+1)/deciles])
		if c.Customers > 0 {
			list = append(list, DecileProof{i + 1, ratio(c.ActualRate, all.ActualRate), c})
		}
	}
	return list
}

// proveCalibration leaves out empty bins.
func proveCalibration(customers []Observed) []CalibrationProof {
	list := []CalibrationProof{}
	for i := range calibrationBins {
		from, to := float64(i)/calibrationBins, float64(i+1)/calibrationBins
		first := sort.Search(len(customers), func(j int) bool { return float64(customers[j].Probability) <= to })
		end := sort.Search(len(customers), func(j int) bool { return float64(customers[j].Probability) <= from })
		if i == 0 {
			end = len(customers)
		}
		if c := cohortOf(customers[first:end]); c.Customers > 0 {
			list = append(list, CalibrationProof{from, to, c})
		}
	}
	return list
}

func proveContacts(customers []Observed, all CohortProof) []ContactProof {
	list := []ContactProof{}
	for _, share := range contactShares {
		n := int64(math.Ceil(share * float64(len(customers))))
		hit := churned(customers[:n])
		list = append(list, ContactProof{
			Contacted: n, Share: share, Churned: hit,
			Precision: ratio(float64(hit), float64(n)), Recall: ratio(float64(hit), float64(all.Churned)),
		})
	}
	return list
}

// proveGroups sorts by name; customers of no group come first.
func proveGroups(customers []Observed) []GroupProof {
	list := []GroupProof{}
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
		g := GroupProof{CohortProof: cohortOf(of[name]), AUC: auc(of[name]), Brier: brier(of[name])}
		if name != "" {
			g.Group = &name
		}
		list = append(list, g)
	}
	return list
}
