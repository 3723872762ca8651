// Tells by Argo CD's own code whether a project lets an application have an object.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
)

type question struct {
	Spec       v1alpha1.AppProjectSpec
	Group      string
	Kind       string
	Name       string
	Namespaced bool
}

func main() {
	var asked []question
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	outcomes := make([]bool, 0, len(asked))
	for _, each := range asked {
		project := v1alpha1.AppProject{Spec: each.Spec}
		kind := schema.GroupKind{Group: each.Group, Kind: each.Kind}
		outcomes = append(outcomes, project.IsGroupKindNamePermitted(kind, each.Name, each.Namespaced))
	}
	must(json.NewEncoder(os.Stdout).Encode(outcomes))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
