// Judges results of metrics as Argo Rollouts does: by its own EvaluateResult.
package main

import (
	"encoding/json"
	"io"
	"os"
	"strconv"

	log "github.com/sirupsen/logrus"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/evaluate"
)

// Exactly one of the three results is there. What Prometheus answers is text: JSON has neither NaN nor infinity.
type measurement struct {
	Success string
	Failure string
	Vector  []string
	Scalar  string
	Answer  json.RawMessage
}

type outcome struct {
	Phase   string
	Message string
}

func main() {
	log.SetOutput(io.Discard)
	var asked []measurement
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	outcomes := make([]outcome, 0, len(asked))
	for _, each := range asked {
		outcomes = append(outcomes, judged(each))
	}
	must(json.NewEncoder(os.Stdout).Encode(outcomes))
}

func judged(asked measurement) outcome {
	metric := v1alpha1.Metric{SuccessCondition: asked.Success, FailureCondition: asked.Failure}
	phase, err := evaluate.EvaluateResult(asked.result(), metric, *log.NewEntry(log.New()))
	if err != nil {
		return outcome{string(phase), err.Error()}
	}
	return outcome{Phase: string(phase)}
}

// As metricproviders/prometheus and metricproviders/webmetric hand it over.
func (asked measurement) result() any {
	if asked.Answer != nil {
		var answer any
		must(json.Unmarshal(asked.Answer, &answer))
		return answer
	}
	if asked.Scalar != "" {
		return float(asked.Scalar)
	}
	values := make([]float64, 0, len(asked.Vector))
	for _, each := range asked.Vector {
		values = append(values, float(each))
	}
	return values
}

func float(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	must(err)
	return value
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
