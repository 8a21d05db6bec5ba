// Command mqttdoctor diagnoses MQTT connections.
package main

func main() {}
