/** What follows a product on a matrix unit: its tiles of sums to the epilogue or to memory. */
import {
  add,
  type Expression,
  equal,
  lessThan,
  minimum,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { KernelBuilder, Variable } from './builder.js';
import { type ContractSite, placeIn, storeContracted } from './contract-store.js';
import type { UnitChoice } from './contract-unit.js';
import { laneName } from './fused.js';
import { linearInLanes, type TileAxis } from './tile-limits.js';
import { flatten } from './view-index.js';

const rowName = 'row';

export class UnitStore {
  private readonly b: KernelBuilder;
  private readonly site: ContractSite;
  private readonly choice: UnitChoice;
  /** Memory for one group of tiles on its way to the epilogue. */
  private readonly finished: string;
  private readonly panelColumns: number;
  private readonly rowExtent: number;
  private readonly columnExtent: number;

  constructor(site: ContractSite, choice: UnitChoice, finished: string) {
    this.b = site.frame.builder;
    this.site = site;
    this.choice = choice;
    this.finished = finished;
    this.panelColumns = choice.columnTiles * choice.unit.n;
    this.rowExtent = (site.groups.rows.at(-1)?.extent ?? 1) as number;
    this.columnExtent = (site.groups.columns.at(-1)?.extent ?? 1) as number;
  }

  /** Applies the epilogue and stores; whole tiles that are the output itself go at once. */
  write(row: Expression, column: Expression, sums: readonly Variable[]): void {
    const { b, choice, panelColumns } = this;
    const { unit, rowTiles } = choice;
    const tall = rowTiles * unit.m;
    const direct = (): void => this.storeWhole(row, column, sums);
    const each = (): void => this.storeRows(row, column, sums);
    if (!this.isPlain()) {
      each();
      return;
    }
    const rowsWhole = this.rowExtent % tall === 0;
    const columnsWhole = this.columnExtent % panelColumns === 0;
    if (rowsWhole && columnsWhole) direct();
    else {
      const [below, beside] = [
        rowsWhole ? 1 : lessThan(add(row, tall - 1), this.rowExtent),
        columnsWhole ? 1 : lessThan(add(column, panelColumns - 1), this.columnExtent),
      ];
      b.if(multiply(below, beside), direct, each);
    }
  }

  /** Whether the sums are the output, with columns side by side. */
  private isPlain(): boolean {
    const { plan } = this.site;
    const [root] = plan.roots;
    const isOwn = plan.roots.length === 1 && root?.node.id === plan.node.id;
    if (!isOwn || plan.node.dtype !== plan.node.attributes.accumulate) return false;
    const linear = this.outputPlace(0, 0);
    return linear !== undefined && equal(linear.strides[1] ?? 0, 1);
  }

  private outputPlace(row: Expression, column: Expression) {
    const { unit } = this.choice;
    const { plan } = this.site;
    const axes = this.tileAxes(unit.m, unit.n);
    const place = placeIn(this.site, axes, this.bounds(row, column, unit.m, unit.n));
    const [root] = plan.roots;
    if (root === undefined) return undefined;
    return linearInLanes(place.finish(flatten(root.node.shape, root.index)), axes);
  }

  private tileAxes(rows: number, columns: number): readonly TileAxis[] {
    return [
      { name: rowName, count: rows },
      { name: laneName, count: columns },
    ];
  }

  private bounds(row: Expression, column: Expression, rows: number, columns: number) {
    const { groups } = this.site;
    return [
      { axis: groups.rows.at(-1)?.name, value: add(row, variable(rowName, rows)) },
      { axis: groups.columns.at(-1)?.name, value: add(column, variable(laneName, columns)) },
    ];
  }

  private storeWhole(row: Expression, column: Expression, sums: readonly Variable[]): void {
    const { b, choice, site } = this;
    const { unit, columnTiles } = choice;
    sums.forEach((sum, i) => {
      const down = Math.floor(i / columnTiles) * unit.m;
      const across = (i % columnTiles) * unit.n;
      const linear = this.outputPlace(add(row, down), add(column, across));
      if (linear === undefined) return;
      const access = {
        buffer: site.outputs[0] as string,
        address: linear.base,
        strides: linear.strides,
      };
      b.store(access, b.read(sum));
    });
  }

  private storeRows(row: Expression, column: Expression, sums: readonly Variable[]): void {
    const { b, choice, panelColumns, site } = this;
    const { unit, rowTiles, columnTiles } = choice;
    sums.forEach((sum, i) => {
      const down = Math.floor(i / columnTiles) * unit.m;
      const address = down * panelColumns + (i % columnTiles) * unit.n;
      const access = { buffer: this.finished, address, strides: [panelColumns, 1] };
      b.store(access, b.read(sum));
    });
    const tall = rowTiles * unit.m;
    const rest = subtract(this.rowExtent, row);
    const count = this.rowExtent % tall === 0 ? tall : b.bind(minimum(tall, rest));
    const whole = this.columnExtent % panelColumns === 0;
    const lanes: TileAxis = { name: laneName, count: panelColumns };
    const axis = whole ? lanes : { ...lanes, tail: subtract(this.columnExtent, column) };
    const { groups } = site;
    b.for(0, count, 1, (line) => {
      const access = { buffer: this.finished, address: multiply(line, panelColumns), strides: [1] };
      const { dtype } = (sums[0] as Variable).type;
      const type = { dtype, shape: [panelColumns] };
      const content = b.load(type, access, { volatile: true });
      const at = add(column, variable(laneName, panelColumns));
      const bounds = [
        { axis: groups.rows.at(-1)?.name, value: add(row, line) },
        { axis: groups.columns.at(-1)?.name, value: at },
      ];
      storeContracted(site, content, [axis], bounds);
    });
  }
}
