// Takes canaries through their weights while Kubernetes' own autoscaler looks, and tells how many replicas it wants.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

type canary struct {
	Autoscaler autoscalingv2.HorizontalPodAutoscaler
	Replicas   int32
	Weights    []int32
	// What each pod uses of a target at rest, and what the traffic of all of them uses.
	Rest, Traffic float64
}

// Every 15 s. In as many a number that grows is at its most.
const looks = 20

type measured struct {
	metrics.MetricsClient
	pods metrics.PodMetricsInfo
}

func (m measured) GetResourceMetric(context.Context, v1.ResourceName, string, labels.Selector, string) (metrics.PodMetricsInfo, time.Time, error) {
	return m.pods, time.Now(), nil
}

func main() {
	var asked []canary
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	wanted := make([][]int32, 0, len(asked))
	for _, each := range asked {
		wanted = append(wanted, each.course())
	}
	must(json.NewEncoder(os.Stdout).Encode(wanted))
}

// The replicas at the end of each weight.
func (c canary) course() []int32 {
	replicas, reached := c.Replicas, []int32{}
	for _, weight := range c.Weights {
		for range looks {
			replicas = c.look(replicas, replicas+(replicas*weight+99)/100)
		}
		reached = append(reached, replicas)
	}
	return reached
}

// What is wanted of the replicas, as one look at the pods has it.
func (c canary) look(replicas, pods int32) int32 {
	running := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for number := range pods {
		must(running.Add(&v1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(number), Namespace: "default"},
			Status:     v1.PodStatus{Phase: v1.PodRunning},
		}))
	}
	spec, wanted := c.Autoscaler.Spec, int32(0)
	for _, metric := range spec.Metrics {
		use, target := c.Traffic/float64(pods), int64(0)
		if metric.ContainerResource != nil {
			use += c.Rest
			target = metric.ContainerResource.Target.AverageValue.MilliValue()
		} else {
			target = metric.Pods.Target.AverageValue.MilliValue()
		}
		used := metrics.PodMetricsInfo{}
		for _, name := range running.ListKeys() {
			_, name, err := cache.SplitMetaNamespaceKey(name)
			must(err)
			used[name] = metrics.PodMetric{Value: int64(use * float64(target))}
		}
		calculator := podautoscaler.NewReplicaCalculator(measured{pods: used}, corelisters.NewPodLister(running), 0, 0)
		// Of memory, whose pods count from their start: what is counted later than that asks for less.
		count, _, _, err := calculator.GetRawResourceReplicas(context.Background(), replicas, target, v1.ResourceMemory, tolerances(spec.Behavior), "default", labels.Everything(), "")
		must(err)
		wanted = max(wanted, count)
	}
	return min(max(wanted, *spec.MinReplicas), spec.MaxReplicas)
}

// Kubernetes reads them of the autoscaler, and lets no other package.
func tolerances(behavior *autoscalingv2.HorizontalPodAutoscalerBehavior) podautoscaler.Tolerances {
	var found podautoscaler.Tolerances
	for name, rules := range map[string]*autoscalingv2.HPAScalingRules{"scaleDown": behavior.ScaleDown, "scaleUp": behavior.ScaleUp} {
		value := 0.1 // kube-controller-manager's own
		if rules != nil && rules.Tolerance != nil {
			value = rules.Tolerance.AsApproximateFloat64()
		}
		field := reflect.ValueOf(&found).Elem().FieldByName(name)
		reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().SetFloat(value)
	}
	return found
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
