package draft

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/retainwise/millrace/engine"
)

// Facts are what is known of a model beside its file, by a program that has the model itself.
type Facts struct {
	// Probability states that the raw score is a probability already.
	Probability bool `json:"probability"`
	// Categories are those of columns, in the order of the codes. The model file's own count where it lists them.
	Categories map[string][]string `json:"categories"`
	// Columns says what the steps before the model refuse.
	Columns map[string]struct {
		NotEmpty      bool `json:"not_empty"`
		RejectUnknown bool `json:"reject_unknown"`
	} `json:"columns"`
	Calibration *engine.Calibration `json:"calibration"`
	// Golden is CSV text: the columns of the model, then _raw and _probability as GoldenBy, a library with its version,
	// gives them. Empty: golden rows are chosen.
	Golden   string `json:"-"`
	GoldenBy string `json:"golden_by"`
}

// takeGoldens takes the golden rows of the facts.
func (g *goldens) takeGoldens(f Facts) error {
	rows, err := csv.NewReader(strings.NewReader(f.Golden)).ReadAll()
	if err != nil {
		return err
	}
	if len(rows) < 2 {
		return errors.New("there are none")
	}
	last := len(rows[0]) - 2
	if last < 1 || !slices.Equal(rows[0][last:], []string{"_raw", "_probability"}) {
		return errors.New("the last columns must be _raw and _probability")
	}
	g.header = rows[0][:last]
	for i, row := range rows[1:] {
		raw, err := strconv.ParseFloat(row[last], 64)
		if err != nil {
			return fmt.Errorf("row %d: _raw is no number", i+1)
		}
		probability, err := strconv.ParseFloat(row[last+1], 64)
		if err != nil {
			return fmt.Errorf("row %d: _probability is no number", i+1)
		}
		g.rows, g.scores = append(g.rows, row[:last]), append(g.scores, [2]float64{raw, probability})
	}
	return nil
}
