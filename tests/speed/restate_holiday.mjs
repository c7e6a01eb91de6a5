// What restate-holiday's TypeScript services do: their calls, their requests to AWS and their logs, in one process.
import { createServer } from "node:http2";
import * as restate from "@restatedev/restate-sdk";
import { DynamoDBClient, PutItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";

const { AWS_ENDPOINT: endpoint, SNS_TOPIC, FLIGHTS_TABLE_NAME, CARS_TABLE_NAME, PAYMENTS_TABLE_NAME } = process.env;
const [dynamodb, sns] = [new DynamoDBClient({ endpoint }), new SNSClient({ endpoint })];
const SAMPLE = {
  depart_city: "Detroit", depart_time: "2021-07-07T06:00:00.000Z",
  arrive_city: "Frankfurt", arrive_time: "2021-07-09T08:00:00.000Z",
  rental: "BMW", rental_from: "2021-07-09T00:00:00.000Z", rental_to: "2021-07-17T00:00:00.000Z",
};
const strings = (row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, { S: value }]));

async function write(ctx, what, command) {
  const result = await ctx.run(() => dynamodb.send(command));
  console.log(what);
  console.log(result);
}

async function reserve(ctx, TableName, row, transaction_status) {
  console.log("requested:", ctx.key, JSON.stringify(row, undefined, 2));
  const id = ctx.rand.uuidv4();
  console.log("id:", id);
  const Item = strings({ pk: ctx.key, sk: id, trip_id: ctx.key, id, ...row, transaction_status });
  await write(ctx, "reserved:", new PutItemCommand({ TableName, Item }));
  return { id };
}

async function confirm(ctx, TableName, { id }) {
  console.log("to be confirmed:", ctx.key, JSON.stringify({ id }, undefined, 2));
  await write(ctx, "confirmed:", new UpdateItemCommand({
    TableName, Key: strings({ pk: ctx.key, sk: id }), UpdateExpression: "SET transaction_status = :confirmed",
    ExpressionAttributeValues: strings({ ":confirmed": "confirmed" }),
  }));
}

const bookable = (name, TableName, fields) => restate.object({ name, handlers: {
  reserve: (ctx, trip) => reserve(ctx, TableName, Object.fromEntries(fields.map((field) => [field, trip[field]])), "pending"),
  confirm: (ctx, booking) => confirm(ctx, TableName, booking),
} });
const flights = bookable("flights", FLIGHTS_TABLE_NAME, ["depart_city", "depart_time", "arrive_city", "arrive_time"]);
const cars = bookable("cars", CARS_TABLE_NAME, ["rental", "rental_from", "rental_to"]);
const payments = restate.object({ name: "payments", handlers: {
  process: (ctx) => reserve(ctx, PAYMENTS_TABLE_NAME, { amount: "750.00", currency: "USD" }, "confirmed"),
} });
const trips = restate.service({ name: "trips", handlers: {
  reserve: async (ctx, { request }) => {
    console.log("trip:", JSON.stringify(request, undefined, 2));
    const trip_id = request?.trip_id ?? ctx.rand.uuidv4();
    const [flight, car, payment] = [flights, cars, payments].map((service) => ctx.objectClient(service, trip_id));
    const booked = [await flight.reserve(SAMPLE), await car.reserve(SAMPLE)];
    await payment.process({});
    await flight.confirm(booked[0]);
    await car.confirm(booked[1]);
    const message = new PublishCommand({ TopicArn: SNS_TOPIC, Message: "The trip is booked." });
    await ctx.run(async () => { await sns.send(message); });
    return { status: "SUCCESS", trip_id };
  },
} });

createServer(restate.createEndpointHandler({ services: [flights, cars, payments, trips] })).listen(Number(process.argv[2]), "127.0.0.1");
