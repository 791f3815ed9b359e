package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// boards by the name of their file.
var boards = map[string]func() *dashboard.DashboardBuilder{
	"1-objectives":   objectivesBoard,
	"2-pipeline":     pipelineBoard,
	"3-predictions":  predictionsBoard,
	"4-dependencies": dependenciesBoard,
	"5-models":       modelsBoard,
	"6-model-health": modelHealthBoard,
}

// panel is a plot of some queries over time.
type panel struct {
	title, about, unit string
	width              uint32 // of 24
	signed             bool   // values below 0 are meant
	max                float64
	limit              float64 // a line to stay below; 0: none
	queries            []query
}

// query is a query and what its lines are called.
type query struct{ expr, legend string }

func q(expr, legend string) query { return query{expr, legend} }

func board(uid, title, about string) *dashboard.DashboardBuilder {
	return dashboard.NewDashboardBuilder(title).Uid(uid).Description(about).Tags([]string{"millrace"}).
		Time("now-6h", "now").Refresh("30s").Timezone("utc").Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"))
}

func source() common.DataSourceRef {
	kind, uid := "prometheus", "${datasource}"
	return common.DataSourceRef{Type: &kind, Uid: &uid}
}

const panelHeight = 8

func (p panel) build() *timeseries.PanelBuilder {
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source()).
		Height(panelHeight).Span(p.width).LineWidth(1).FillOpacity(10).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).
			Placement(common.LegendPlacementBottom).ShowLegend(true))
	if !p.signed {
		b.Min(0)
	}
	if p.max > 0 {
		b.Max(p.max)
	}
	if p.limit > 0 {
		b.Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).
			Steps([]dashboard.Threshold{{Color: "green"}, {Value: &p.limit, Color: "red"}})).
			ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	for i, q := range p.queries {
		b.WithTarget(prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend).Range().
			RefId(fmt.Sprintf("%c", 'A'+i)))
	}
	return b
}

func with(b *dashboard.DashboardBuilder, panels ...panel) *dashboard.DashboardBuilder {
	for _, p := range panels {
		b.WithPanel(p.build())
	}
	return b
}

// quantile of a native histogram, by label. The classic edges are for counting what is within an objective: between 0.1
// and 2 s they are far too coarse for this. They step in on a Prometheus that does not scrape native histograms, where
// the panel would be empty without.
func quantile(of, histogram, selector, by string) string {
	return fmt.Sprintf("histogram_quantile(%[1]s, sum by (%[4]s) (rate(%[2]s{%[3]s}[5m]))) or "+
		"histogram_quantile(%[1]s, sum by (%[5]s) (rate(%[2]s_bucket{%[3]s}[5m])))",
		of, histogram, selector, by, strings.TrimPrefix(by+", le", ", "))
}

// coarse is what boards with quantiles say of themselves.
const coarse = " Quantiles come from native histograms; on a Prometheus that does not scrape them " +
	"(scrape_native_histograms) they are estimates between the few classic edges."
