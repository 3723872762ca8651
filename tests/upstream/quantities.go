// Compares quantities as Kubernetes does, and tells the outcomes as JSON.
package main

import (
	"encoding/json"
	"os"

	"k8s.io/apimachinery/pkg/api/resource"
)

func main() {
	var asked [][2]string
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	outcomes := make([]int, 0, len(asked))
	for _, each := range asked {
		one, err := resource.ParseQuantity(each[0])
		must(err)
		other, err := resource.ParseQuantity(each[1])
		must(err)
		outcomes = append(outcomes, one.Cmp(other))
	}
	must(json.NewEncoder(os.Stdout).Encode(outcomes))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
