// Takes measurements as Argo Rollouts' own web provider does, each of an answer that it is given.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"

	log "github.com/sirupsen/logrus"

	"github.com/argoproj/argo-rollouts/metricproviders/webmetric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
)

type measurement struct {
	Metric v1alpha1.Metric
	Answer string
}

type outcome struct {
	Phase   string
	Message string
	Path    string
	Body    string
	Content string
}

func main() {
	var asked []measurement
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	outcomes := make([]outcome, 0, len(asked))
	for _, each := range asked {
		outcomes = append(outcomes, measured(each))
	}
	must(json.NewEncoder(os.Stdout).Encode(outcomes))
}

func measured(asked measurement) outcome {
	var seen outcome
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		must(err)
		seen = outcome{Path: request.URL.RequestURI(), Body: string(body), Content: request.Header.Get("Content-Type")}
		_, err = io.WriteString(writer, asked.Answer)
		must(err)
	}))
	defer server.Close()
	meant, err := url.Parse(asked.Metric.Provider.Web.URL)
	must(err)
	asked.Metric.Provider.Web.URL = server.URL + meant.RequestURI()
	client, err := webmetric.NewWebMetricHttpClient(asked.Metric)
	must(err)
	parser, err := webmetric.NewWebMetricJsonParser(asked.Metric)
	must(err)
	provider := webmetric.NewWebMetricProvider(*log.NewEntry(log.New()), client, parser)
	result := provider.Run(&v1alpha1.AnalysisRun{}, asked.Metric)
	seen.Phase, seen.Message = string(result.Phase), result.Message
	return seen
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
